"""Define the columns that mining reads: acts and signs of life, as flat arrays instead of one object per event.

The standard library's arrays carry them, so that neither the model nor the store needs numpy; numpy reads them without
copying (buffer protocol).
"""

from array import array
from dataclasses import dataclass
from typing import Final

SLOT_US: Final = 900_000_000
"""A quarter of an hour. Every time zone in use is a whole number of quarters away from UTC."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActColumns:
    """Hold the state changes of some entities in [start_us, end_us), and how alive the whole home was meanwhile.

    The first five arrays have one item per state change, ordered by entity, then time: ``time_us`` in UTC microseconds,
    ``entity`` an index into ``entities``, ``state`` and ``old_state`` indices into ``states`` (-1: there was none),
    ``origin`` an index into ``tuple(Origin)``.

    ``slots`` are the quarters of an hour since the epoch (UTC, see SLOT_US) in which anything at all was recorded,
    ascending, ``slot_events`` how many events. ``outage_start_us`` and ``outage_end_us`` bound each stretch that some
    entity spent `unavailable` and came back from; ``entity_count`` is how many entities had events.
    """

    start_us: int
    end_us: int
    time_us: array[int]
    entity: array[int]
    state: array[int]
    old_state: array[int]
    origin: array[int]
    entities: tuple[str, ...]
    states: tuple[str, ...]
    slots: array[int]
    slot_events: array[int]
    outage_start_us: array[int]
    outage_end_us: array[int]
    entity_count: int

    @property
    def events_read(self) -> int:
        """Return how many events of any kind the range held."""
        return sum(self.slot_events)
