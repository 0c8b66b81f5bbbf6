"""Define what a detector hands over: a possible habit with its counts, before chance has been ruled out."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Final

from ..model import Evidence, Habit, Rejection
from ._significance import benjamini_hochberg

MAX_Q: Final = 0.01
"""At most one in a hundred habits may be chance. True habits lie far below (1e-6 in two weeks); the margin is for base
rates that are estimates themselves."""
MIN_LIFT: Final = 2.0
"""An act that comes at any other time half as often is no habit of that time, however regular it is."""
MIN_HELD_OUT_DAYS: Final = 3
"""Fewer days than this say nothing either way."""
MIN_HELD_OUT: Final = 0.5
"""A habit must go on holding on more days than not, on the days that played no part in finding it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """Hold a possible habit.

    ``habit.evidence.q_value`` is not final yet. ``looks`` is how many times of day and weekday sets the detector looked
    at to find this one, the factor of Bonferroni's correction. ``failing`` is what the detector itself has against it.
    """

    habit: Habit
    looks: int
    failing: tuple[str, str] | None = None

    @property
    def corrected_p(self) -> float:
        """Return the p-value after Bonferroni over the detector's looks."""
        return min(1.0, self.habit.evidence.p_value * self.looks)


type Judged = tuple[Habit, Rejection | None]


def judge_all(candidates: Sequence[Candidate]) -> list[Judged]:
    """Return each candidate's habit with its q-value, and why it is none, None if it is one.

    Every candidate of the run must be among them, also the poor ones: the false discovery rate counts all tests.
    """
    q_values = benjamini_hochberg([candidate.corrected_p for candidate in candidates])
    judged: list[Judged] = []
    for candidate, q_value in zip(candidates, q_values, strict=True):
        habit = replace(candidate.habit, evidence=replace(candidate.habit.evidence, q_value=q_value))
        failing = candidate.failing or _failing(habit.evidence)
        judged.append((habit, reject(habit, *failing) if failing else None))
    return judged


def reject(habit: Habit, reason: str, detail: str) -> Rejection:
    """Return why a habit is none."""
    return Rejection(entity_id=habit.entity_id, to_state=habit.to_state, reason=reason, detail=detail)


def _failing(evidence: Evidence) -> tuple[str, str] | None:
    if evidence.lift < MIN_LIFT or evidence.q_value > MAX_Q:
        return (
            "not_better_than_chance",
            f"lift {evidence.lift:.1f} over a base rate of {evidence.base_rate:.3f}, q = {evidence.q_value:.2g}",
        )
    if evidence.held_out is not None and evidence.held_out < MIN_HELD_OUT:
        return (
            "failed_held_out",
            f"held on {evidence.held_out:.0%} of the last {evidence.held_out_days} days, which were kept back",
        )
    return None


def span(held_on: tuple[date, ...], otherwise: date) -> tuple[date, date]:
    """Return the first and last day of some, both ``otherwise`` where there are none."""
    return (held_on[0], held_on[-1]) if held_on else (otherwise, otherwise)
