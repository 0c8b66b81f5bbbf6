"""Merge what says the same twice, and put the best first."""

from collections.abc import Iterable, Sequence

from ..model import Habit, Rejection
from ._circular import distance


def strength(habit: Habit) -> tuple[float, float, float]:
    """Return what habits are ranked by: what surely holds, then how much better than chance, then how punctual."""
    evidence = habit.evidence
    return evidence.wilson_low, evidence.lift, -habit.spread_min


def merge(habits: Iterable[Habit]) -> list[Habit]:
    """Return the habits that say something of their own, best first.

    Two habits of one entity and state say the same if their windows overlap and they share a weekday. The one that chance
    explains worst stays: it holds on more days, or more surely, or in a narrower window than the other.
    """
    kept: list[Habit] = []
    # The p-values of habits that held for most of a year underflow to nought.
    for habit in sorted(habits, key=lambda habit: (habit.evidence.p_value, -habit.evidence.days_held)):
        if not any(_same(habit, other) for other in kept):
            kept.append(habit)
    return sorted(kept, key=strength, reverse=True)


def top(habits: Sequence[Habit], limit: int) -> tuple[Sequence[Habit], list[Rejection]]:
    """Return the first ``limit`` habits, and the rest as rejections."""
    rest = [
        Rejection(
            entity_id=habit.entity_id,
            to_state=habit.to_state,
            reason="not_in_top",
            detail=f"place {place} of {len(habits)}; {limit} are shown",
        )
        for place, habit in enumerate(habits[limit:], start=limit + 1)
    ]
    return habits[:limit], rest


def _same(one: Habit, other: Habit) -> bool:
    return (
        (one.entity_id, one.to_state) == (other.entity_id, other.to_state)
        and distance(one.minute, other.minute) <= one.window_min + other.window_min
        and not set(one.weekdays).isdisjoint(other.weekdays)
    )
