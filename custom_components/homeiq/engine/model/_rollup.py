"""Define roll-ups: what one entity did in one hour or one local day, in figures."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Span(StrEnum):
    """Say how long a roll-up's bucket is: an hour of UTC, or a day of the home's local time (23 to 25 hours)."""

    HOUR = "hour"
    DAY = "day"


@dataclass(frozen=True, slots=True, kw_only=True)
class RollUp:
    """Sum up one entity's events in the bucket [start_us, end_us), times in UTC microseconds.

    ``events`` counts all events of the entity, ``changes`` those that changed its state. Whatever state was in force
    when the bucket began, from an event before, counts as well: in ``low`` and ``high``, in ``mean``, which weighs each
    number by how long it was in force, and in ``states``. ``state`` is the state at the end, None for an entity that is
    removed, and ``last`` is that state as a number.

    ``rise`` is what a meter counted: the sum of increases, where a fall below 90 % of the number before is a reset and
    counting goes on from 0, as Home Assistant has it for ``total_increasing``; a smaller fall, and the way back up from
    it, count nothing. The figures are None where no number was in force.

    ``states`` says for how many seconds each state that is not a number was in force, for the 16 longest ones.
    """

    entity_id: str
    span: Span
    start_us: int
    end_us: int
    events: int
    changes: int
    low: float | None
    high: float | None
    mean: float | None
    last: float | None
    rise: float | None
    states: Mapping[str, float]
    state: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RollUpQuery:
    """Select roll-ups that start in [start_us, end_us); ``entity_ids`` None means all that have any.

    ``limit`` is 1 to 10,000 roll-ups.
    """

    entity_ids: tuple[str, ...] | None
    start_us: int
    end_us: int
    span: Span
    limit: int = 1000
