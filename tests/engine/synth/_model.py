"""Define what a plan is made of: days, steps and the habits it promises."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from random import Random
from typing import Protocol
from zoneinfo import ZoneInfo


class Cause(StrEnum):
    """Say who makes a step: a person through Home Assistant, something physical, an automation, or the system."""

    USER = "user"
    DEVICE = "device"
    AUTOMATION = "automation"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Bring one entity into one state at one moment (UTC).

    ``by`` is the user id behind a user's step, the automation's entity id behind an automation's, else None.
    """

    when: datetime
    entity_id: str
    state: str
    cause: Cause = Cause.DEVICE
    by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Planted:
    """Promise a habit: the entity reaches the state around a local minute on these weekdays (0 is Monday).

    ``minute`` is local minutes after midnight, ``spread_min`` the standard deviation in minutes, ``adherence`` the
    share of those days on which it happens. A decoy looks like a habit but must not be mined.
    """

    key: str
    entity_id: str
    to_state: str
    minute: float
    spread_min: float
    weekdays: tuple[int, ...]
    adherence: float = 1.0
    decoy: bool = False


class Day:
    """Be one local day of a home as one plan sees it, with the plan's own source of chance."""

    __slots__ = ("_seed", "date", "rng", "tz")

    def __init__(self, day: date, tz: ZoneInfo, *, seed: int, key: str) -> None:
        """Take the local date and the time zone; seed, plan key and date alone decide what chance brings."""
        self.date = day
        self.tz = tz
        self.rng = Random(f"{seed}/{key}/{day.isoformat()}")
        self._seed = seed

    def seen_by(self, key: str) -> Day:
        """Return the same day as the plan of that key sees it."""
        return Day(self.date, self.tz, seed=self._seed, key=key)

    def at(self, minute: float) -> datetime:
        """Return the UTC time of a wall-clock minute; below 0 is the evening before, from 1440 on the next day.

        In the hour that a spring change skips the clock reads an hour later; in the repeated hour the first one counts.
        """
        wall = datetime.combine(self.date, time()) + timedelta(minutes=minute)
        return wall.replace(tzinfo=self.tz).astimezone(UTC)


class Plan(Protocol):
    """Lay out what one cause does on a day; one small file of `plans/` per kind."""

    @property
    def key(self) -> str:
        """Return a name that is unique in the home; it seeds the plan's chance."""
        ...

    def planted(self) -> Iterable[Planted]:
        """Return the habits and decoys that this plan promises."""
        ...

    def steps(self, day: Day) -> Iterable[Step]:
        """Return the steps that begin on the day, in any order."""
        ...
