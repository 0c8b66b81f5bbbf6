"""Lay a decoy: an automation that acts by the clock, to the second, every day."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from tests.engine.synth._model import Cause, Day, Planted, Step


@dataclass(frozen=True, slots=True, kw_only=True)
class AutomationAt:
    """Let an automation bring an entity into a state at a local minute; never evidence for a habit."""

    key: str
    automation: str
    entity_id: str
    to_state: str
    minute: float

    def planted(self) -> Iterable[Planted]:
        """Return the decoy."""
        return (
            Planted(
                key=self.key,
                entity_id=self.entity_id,
                to_state=self.to_state,
                minute=self.minute,
                spread_min=0,
                weekdays=(0, 1, 2, 3, 4, 5, 6),
                decoy=True,
            ),
        )

    def steps(self, day: Day) -> Iterable[Step]:
        """Return the automation's act, a few milliseconds after its time."""
        late = timedelta(milliseconds=day.rng.uniform(2, 40))
        yield Step(
            when=day.at(self.minute) + late,
            entity_id=self.entity_id,
            state=self.to_state,
            cause=Cause.AUTOMATION,
            by=self.automation,
        )
