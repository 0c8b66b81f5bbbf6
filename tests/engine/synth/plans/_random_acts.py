"""Let someone act at no particular time."""

from collections.abc import Iterable
from dataclasses import dataclass

from tests.engine.synth._model import Cause, Day, Planted, Step


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomActs:
    """Switch an entity on and some minutes later off, ``per_day`` times on average, evenly from 7 to 24 o'clock."""

    key: str
    entity_id: str
    per_day: float
    user: str | None

    def planted(self) -> Iterable[Planted]:
        """Return nothing: there is nothing to find."""
        return ()

    def steps(self, day: Day) -> Iterable[Step]:
        """Return the day's acts, their number Poisson-like (each quarter of an hour decides for itself)."""
        cause = Cause.DEVICE if self.user is None else Cause.USER
        quarters = range(7 * 4, 24 * 4)
        for quarter in quarters:
            if day.rng.random() >= self.per_day / len(quarters):
                continue
            start = quarter * 15 + day.rng.uniform(0, 15)
            end = start + day.rng.uniform(2, 30)
            for minute, state in ((start, "on"), (end, "off")):
                yield Step(when=day.at(minute), entity_id=self.entity_id, state=state, cause=cause, by=self.user)
