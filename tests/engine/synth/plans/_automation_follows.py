"""Let an automation carry every change of one entity over to another, as a motion light does."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from tests.engine.synth._model import Cause, Day, Plan, Planted, Step


@dataclass(frozen=True, slots=True, kw_only=True)
class AutomationFollows:
    """Copy each step of the plan ``leader`` to ``entity_id`` some milliseconds later; it promises no habit."""

    key: str
    automation: str
    entity_id: str
    leader: Plan

    def planted(self) -> Iterable[Planted]:
        """Return nothing: it follows motion, not the clock."""
        return ()

    def steps(self, day: Day) -> Iterable[Step]:
        """Return the leader's steps of this day, echoed."""
        for step in self.leader.steps(day.seen_by(self.leader.key)):
            yield Step(
                when=step.when + timedelta(milliseconds=day.rng.uniform(2, 40)),
                entity_id=self.entity_id,
                state=step.state,
                cause=Cause.AUTOMATION,
                by=self.automation,
            )
