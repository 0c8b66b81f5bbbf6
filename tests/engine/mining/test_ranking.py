"""What says the same is said once, by the habit that chance explains worst."""

from dataclasses import replace
from datetime import date

import pytest

from homeiq_engine.mining._ranking import merge, top
from homeiq_engine.model import Evidence, Habit, HabitKind

_EVIDENCE = Evidence(
    days_observed=30,
    days_possible=30,
    days_held=28,
    first_day=date(2026, 3, 2),
    last_day=date(2026, 3, 30),
    base_rate=0.01,
    lift=90.0,
    wilson_low=0.8,
    wilson_high=0.98,
    p_value=1e-40,
    q_value=1e-36,
    held_out=1.0,
    held_out_days=7,
    held_on=(),
    failed_on=(),
)
_HABIT = Habit(
    key="a",
    kind=HabitKind.TIME,
    entity_id="light.a",
    to_state="on",
    minute=420.0,
    spread_min=5.0,
    window_min=15.0,
    weekdays=(0, 1, 2, 3, 4),
    evidence=_EVIDENCE,
)
_BETTER = replace(_HABIT, key="b", minute=430.0, evidence=replace(_EVIDENCE, p_value=1e-50))


def test_of_two_that_overlap_the_less_likely_by_chance_stays() -> None:
    assert merge([_HABIT, _BETTER]) == [_BETTER]


@pytest.mark.parametrize(
    "other",
    [
        replace(_BETTER, entity_id="light.b"),
        replace(_BETTER, to_state="off"),
        replace(_BETTER, minute=451.0),
        replace(_BETTER, weekdays=(5, 6)),
    ],
)
def test_another_act_another_time_or_other_days_are_told_apart(other: Habit) -> None:
    assert len(merge([_HABIT, other])) == 2


def test_windows_that_meet_over_midnight_overlap() -> None:
    assert merge([replace(_HABIT, minute=1435.0), replace(_BETTER, minute=5.0)]) == [replace(_BETTER, minute=5.0)]


def test_where_the_p_value_is_nought_the_more_days_stay() -> None:
    certain = replace(_EVIDENCE, p_value=0.0)
    longer = replace(_HABIT, key="c", evidence=replace(certain, days_held=300))
    assert merge([replace(_HABIT, evidence=certain), longer]) == [longer]


def test_habits_are_ranked_by_what_surely_holds_then_by_lift_then_by_punctuality() -> None:
    sure = replace(_HABIT, entity_id="light.sure", evidence=replace(_EVIDENCE, wilson_low=0.9))
    lifted = replace(_HABIT, entity_id="light.lifted", evidence=replace(_EVIDENCE, lift=100.0))
    punctual = replace(_HABIT, entity_id="light.punctual", spread_min=1.0)
    assert merge([_HABIT, punctual, lifted, sure]) == [sure, lifted, punctual, _HABIT]


def test_the_top_keeps_the_order_and_tells_the_place_of_the_rest() -> None:
    shown, rest = top([_HABIT, _BETTER], 1)
    assert list(shown) == [_HABIT]
    assert [(r.reason, r.detail) for r in rest] == [("not_in_top", "place 2 of 2; 1 are shown")]
