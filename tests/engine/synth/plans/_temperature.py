"""Let a thermometer follow the day."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import cos, pi

from tests.engine.synth._model import Day, Planted, Step


@dataclass(frozen=True, slots=True, kw_only=True)
class Temperature:
    """Report degrees Celsius about every ten minutes: warmest at three in the afternoon, with a little noise."""

    key: str
    entity_id: str
    mean: float
    swing: float

    def planted(self) -> Iterable[Planted]:
        """Return nothing: a sensor is not an act."""
        return ()

    def steps(self, day: Day) -> Iterable[Step]:
        """Return the day's reports, rounded to a tenth."""
        for slot in range(144):
            minute = slot * 10 + day.rng.uniform(0, 5)
            value = self.mean + self.swing * cos((minute - 900) / 1440 * 2 * pi) + day.rng.gauss(0, 0.15)
            yield Step(when=day.at(minute), entity_id=self.entity_id, state=f"{value:.1f}")
