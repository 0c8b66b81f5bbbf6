"""Plant a habit that keeps to a time of day on certain weekdays."""

from collections.abc import Iterable
from dataclasses import dataclass

from tests.engine.synth._model import Cause, Day, Planted, Step


@dataclass(frozen=True, slots=True, kw_only=True)
class Undo:
    """Bring the entity back so that the habit can happen again, some minutes away (uniform, so no habit itself)."""

    to_state: str
    after_min: float
    after_max: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockHabit:
    """Let someone act around ``minute`` (local, after midnight) on ``weekdays``, on a share ``adherence`` of them.

    ``user`` None means by hand at the device. ``prepare`` happens before the act, ``undo`` after it. An act that
    chance moves over midnight still belongs to the weekday of its plan.
    """

    key: str
    entity_id: str
    to_state: str
    minute: float
    spread_min: float
    user: str | None
    weekdays: tuple[int, ...] = (0, 1, 2, 3, 4, 5, 6)
    adherence: float = 1.0
    prepare: Undo | None = None
    undo: Undo | None = None

    def planted(self) -> Iterable[Planted]:
        """Return the one habit."""
        return (
            Planted(
                key=self.key,
                entity_id=self.entity_id,
                to_state=self.to_state,
                minute=self.minute,
                spread_min=self.spread_min,
                weekdays=self.weekdays,
                adherence=self.adherence,
            ),
        )

    def steps(self, day: Day) -> Iterable[Step]:
        """Return the act and its counterpart, or nothing on a day off and on a day it was forgotten."""
        if day.date.weekday() not in self.weekdays or day.rng.random() >= self.adherence:
            return
        # Two standard deviations at most: a habit's window is then known to whoever checks it.
        drift = max(-2.0, min(2.0, day.rng.gauss())) * self.spread_min
        minute = self.minute + drift
        if self.prepare is not None:
            before = minute - day.rng.uniform(self.prepare.after_min, self.prepare.after_max)
            yield self._step(day, before, self.prepare.to_state)
        yield self._step(day, minute, self.to_state)
        if self.undo is not None:
            after = minute + day.rng.uniform(self.undo.after_min, self.undo.after_max)
            yield self._step(day, after, self.undo.to_state)

    def _step(self, day: Day, minute: float, state: str) -> Step:
        cause = Cause.DEVICE if self.user is None else Cause.USER
        return Step(when=day.at(minute), entity_id=self.entity_id, state=state, cause=cause, by=self.user)
