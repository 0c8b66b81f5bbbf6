"""Let a person leave and come back through a door, at no fixed time."""

from collections.abc import Iterable
from dataclasses import dataclass

from tests.engine.synth._model import Day, Planted, Step


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """Send a person out on workdays around ``leaves`` and home around ``returns`` (local minutes, spread 40)."""

    key: str
    person: str
    door: str
    leaves: float
    returns: float

    def planted(self) -> Iterable[Planted]:
        """Return nothing: presence is context, not an act."""
        return ()

    def steps(self, day: Day) -> Iterable[Step]:
        """Return the way out and the way back of a workday; one workday in ten is spent at home."""
        if day.date.weekday() > 4 or day.rng.random() < 0.1:
            return
        for around, place in ((self.leaves, "not_home"), (self.returns, "home")):
            minute = day.rng.gauss(around, 40)
            yield Step(when=day.at(minute), entity_id=self.door, state="on")
            yield Step(when=day.at(minute + 0.2), entity_id=self.door, state="off")
            yield Step(when=day.at(minute + 1), entity_id=self.person, state=place)
