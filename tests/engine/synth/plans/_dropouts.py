"""Let an entity fall silent now and then."""

from collections.abc import Iterable
from dataclasses import dataclass

from tests.engine.synth._model import Cause, Day, Planted, Step


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropouts:
    """Make an entity unavailable, ``per_day`` times at most once a day; its next report brings it back."""

    key: str
    entity_id: str
    per_day: float

    def planted(self) -> Iterable[Planted]:
        """Return nothing: the system did it."""
        return ()

    def steps(self, day: Day) -> Iterable[Step]:
        """Return the day's dropout, if there is one."""
        if day.rng.random() < self.per_day:
            minute = day.rng.uniform(0, 1439)
            yield Step(when=day.at(minute), entity_id=self.entity_id, state="unavailable", cause=Cause.SYSTEM)
