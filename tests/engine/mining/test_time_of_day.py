"""Habits that were planted are found, with their times, weekdays and figures; what only looks like one is not."""

from datetime import date

import pytest

from homeiq_engine.mining import mine
from homeiq_engine.mining._circular import distance
from homeiq_engine.model import Habit, MiningResult, Origin
from tests.engine.mining._plant import Home


def _mine(home: Home) -> MiningResult:
    return mine(home.columns(), home.tz)


def _only(home: Home) -> Habit:
    (habit,) = _mine(home).habits
    return habit


def _reason(home: Home) -> str:
    result = _mine(home)
    assert result.habits == ()
    (rejection,) = result.rejections
    return rejection.reason


@pytest.mark.parametrize("minute", [0, 3, 420, 719.5, 1290, 1437])
@pytest.mark.parametrize("origin", [Origin.USER, Origin.DEVICE])
def test_a_daily_habit_is_found_at_any_time_of_day(minute: float, origin: Origin) -> None:
    home = Home(30)
    home.habit("light.a", minute, chance=0.9, origin=origin)
    habit = _only(home)
    assert distance(habit.minute, minute) < 5
    assert habit.weekdays == tuple(range(7))
    assert (habit.entity_id, habit.to_state) == ("light.a", "on")
    assert 3 < habit.spread_min < 10


@pytest.mark.parametrize("weekdays", [(0, 1, 2, 3, 4), (5, 6), (0, 2, 4), (2,)])
@pytest.mark.parametrize("minute", [420, 1433])
def test_a_habit_of_some_weekdays_is_told_for_these_alone(weekdays: tuple[int, ...], minute: float) -> None:
    """Also at midnight, where the act often falls on the next calendar day."""
    home = Home(84)
    home.habit("light.a", minute, weekdays=weekdays)
    assert _only(home).weekdays == weekdays


def test_the_day_of_a_habit_at_midnight_is_the_date_of_its_usual_time() -> None:
    """Acts at 23:56 and 0:03 on neighbouring dates are two evenings in a row, none missed and none doubled."""
    home = Home(30)
    for day in range(29):
        home.act("light.a", day, 1436 if day % 2 else 1443)
    habit = _only(home)
    assert habit.evidence.days_held == habit.evidence.days_possible == 29
    assert habit.evidence.failed_on == ()
    assert habit.evidence.held_on[:2] == (date(2026, 3, 2), date(2026, 3, 3))


@pytest.mark.parametrize(
    ("zone", "first"),
    [
        ("Europe/Berlin", date(2026, 3, 10)),
        ("Europe/Berlin", date(2026, 10, 10)),
        ("Australia/Lord_Howe", date(2026, 3, 20)),
        ("Australia/Lord_Howe", date(2026, 9, 20)),
        ("America/St_Johns", date(2026, 2, 20)),
        ("America/St_Johns", date(2026, 10, 20)),
    ],
)
@pytest.mark.parametrize("minute", [420, 1439])
def test_a_habit_keeps_its_time_when_the_clocks_change(zone: str, first: date, minute: float) -> None:
    home = Home(35, tz=zone, first=first)
    home.habit("light.a", minute, spread=3)
    habit = _only(home)
    assert distance(habit.minute, minute) < 3
    assert habit.spread_min < 5
    assert habit.evidence.days_held >= habit.evidence.days_possible - 1 >= 32


def test_two_times_of_one_act_are_two_habits() -> None:
    home = Home(30)
    home.habit("light.a", 400)
    home.habit("light.a", 1100, spread=4)
    assert sorted(round(habit.minute, -1) for habit in _mine(home).habits) == [400, 1100]


def test_another_time_at_weekends_is_a_habit_of_its_own() -> None:
    home = Home(60)
    home.habit("light.a", 400, weekdays=range(5))
    home.habit("light.a", 460, weekdays=(5, 6))
    found = {habit.weekdays: round(habit.minute, -1) for habit in _mine(home).habits}
    assert found == {(0, 1, 2, 3, 4): 400, (5, 6): 460}


def test_the_evidence_counts_what_was_planted() -> None:
    """Held on 26 of 28 days, of which the last seven were kept back; nothing ever happens at another time."""
    home = Home(28)
    home.habit("light.a", 420, spread=2, days=[day for day in range(28) if day not in (3, 24)])
    evidence = _only(home).evidence
    assert (evidence.days_observed, evidence.days_possible, evidence.days_held) == (28, 28, 26)
    assert (evidence.first_day, evidence.last_day) == (date(2026, 3, 2), date(2026, 3, 29))
    assert evidence.failed_on == (date(2026, 3, 5), date(2026, 3, 26))
    assert len(evidence.held_on) == 26
    assert (evidence.held_out_days, evidence.held_out) == (7, 6 / 7)
    assert (evidence.wilson_low, evidence.wilson_high) == pytest.approx((0.7735, 0.9802), abs=1e-3)
    assert evidence.lift == pytest.approx(26 / 28 / evidence.base_rate)
    assert evidence.p_value <= evidence.q_value < 1e-6


def test_the_base_rate_is_how_often_the_act_comes_at_other_times() -> None:
    """At four further times on every day: in 4 of the 142 other windows of ten minutes."""
    home = Home(28)
    home.habit("light.a", 420, spread=0)
    for minute in (700, 800, 900, 1000):
        home.habit("light.a", minute, spread=0)
    habit = next(habit for habit in _mine(home).habits if distance(habit.minute, 420) < 2)
    assert habit.window_min == 5
    assert habit.evidence.base_rate == pytest.approx((4 * 28 + 1) / (142 * 28 + 2))


def test_a_day_with_home_assistant_down_is_no_day_on_which_a_habit_failed() -> None:
    home = Home(30)
    home.habit("light.a", 420, spread=3)
    home.silence(home.us(10, 300), home.us(10, 600))
    home.silence(home.us(15, 0), home.us(17, 0))
    evidence = _only(home).evidence
    assert (evidence.days_observed, evidence.days_possible, evidence.failed_on) == (28, 27, ())


def test_what_automations_do_is_evidence_for_nothing() -> None:
    home = Home(30)
    home.habit("light.a", 420, spread=0, origin=Origin.AUTOMATION)
    result = _mine(home)
    assert result.habits == ()
    assert result.rejections == ()


def test_a_habit_that_has_ended_fails_on_the_days_kept_back() -> None:
    home = Home(40)
    home.habit("light.a", 420, days=range(30))
    assert _reason(home) == "failed_held_out"


def test_nine_random_events_are_no_habit() -> None:
    home = Home(30)
    home.noise("light.a", 9 / 30)
    assert len(home.rows) == 9
    assert _reason(home) == "too_few_days"


def test_four_coincidences_are_too_few_days() -> None:
    home = Home(30)
    home.habit("light.a", 420, spread=1, days=range(4))
    assert _reason(home) == "too_few_days"


def test_a_light_that_is_used_all_evening_is_too_scattered() -> None:
    home = Home(30)
    home.noise("light.a", 3, hours=(18, 23))
    assert _reason(home) == "too_scattered"


def test_an_act_on_every_third_day_is_not_regular() -> None:
    home = Home(60)
    home.habit("light.a", 420, days=range(0, 60, 3))
    assert _reason(home) == "not_regular"


def test_what_comes_as_often_at_other_times_is_not_better_than_chance() -> None:
    """A pump that runs on every weekday eighty times a day is no habit of seven o'clock."""
    home = Home(30)
    for step in range(80):
        home.habit("switch.pump", step * 18, spread=0, chance=0.95)
    assert {rejection.reason for rejection in _mine(home).rejections} <= {"not_better_than_chance", "too_scattered"}
    assert _mine(home).habits == ()


def test_the_key_of_a_habit_survives_another_month_with_other_figures() -> None:
    keys = set()
    for seed in range(4):
        home = Home(28, seed=seed)
        home.habit("light.a", 420, chance=0.9)
        keys.add(_only(home).key)
    assert len(keys) == 1
