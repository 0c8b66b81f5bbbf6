"""Let a motion sensor see people come and go."""

from collections.abc import Iterable
from dataclasses import dataclass

from tests.engine.synth._model import Day, Planted, Step

# Shares of the usual rate by hour of day: asleep, up, out, back, evening.
_BY_HOUR = (0.1,) * 6 + (1.5, 1.8, 1.2) + (0.6,) * 7 + (1.0, 1.3, 1.6, 1.6, 1.6, 1.4, 1.0, 0.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Motion:
    """Report motion and, half a minute to four minutes later, its end, ``per_hour`` times in an average hour."""

    key: str
    entity_id: str
    per_hour: float

    def planted(self) -> Iterable[Planted]:
        """Return nothing: a sensor is not an act."""
        return ()

    def steps(self, day: Day) -> Iterable[Step]:
        """Return the day's reports."""
        minute = 0.0
        while minute < 1440:
            rate = self.per_hour * _BY_HOUR[int(minute) // 60]
            minute += day.rng.expovariate(rate / 60)
            end = minute + day.rng.uniform(0.5, 4)
            if end >= 1440:
                return
            yield Step(when=day.at(minute), entity_id=self.entity_id, state="on")
            yield Step(when=day.at(end), entity_id=self.entity_id, state="off")
            minute = end
