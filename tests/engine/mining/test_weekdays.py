"""A habit's weekdays are those that its days speak for."""

import numpy as np
import pytest

from homeiq_engine.mining._weekdays import likeliest


def _chosen(weeks: int, kept: dict[int, int]) -> tuple[int, ...]:
    """Return the choice for some weeks in which each weekday was kept so many times."""
    weekday = np.tile(np.arange(7), weeks)
    week = np.repeat(np.arange(weeks), 7)
    held = week < np.array([kept.get(day, 0) for day in range(7)])[weekday]
    return likeliest(held, np.ones(7 * weeks, dtype=np.bool_), weekday)


@pytest.mark.parametrize(
    "weekdays", [tuple(range(7)), tuple(range(5)), (5, 6), (0,), (3,), (0, 2, 4), (0, 1, 2, 3), (1, 2, 3, 4, 5)]
)
def test_a_set_that_was_kept_every_time_is_found_within_six_weeks(weekdays: tuple[int, ...]) -> None:
    assert _chosen(6, dict.fromkeys(weekdays, 6)) == weekdays


def test_one_working_week_without_its_weekend_is_a_habit_of_weekdays() -> None:
    assert _chosen(1, dict.fromkeys(range(5), 1)) == (0, 1, 2, 3, 4)


def test_a_daily_habit_that_a_few_weekends_lack_stays_daily() -> None:
    assert _chosen(4, {**dict.fromkeys(range(5), 4), 5: 3, 6: 3}) == tuple(range(7))


def test_a_day_that_could_not_happen_says_nothing() -> None:
    """Weekends on which nobody could see a thing leave the habit daily."""
    weekday = np.tile(np.arange(7), 4)
    assert likeliest(weekday < 5, weekday < 5, weekday) == tuple(range(7))


def test_days_on_which_a_habit_holds_less_are_never_chosen() -> None:
    assert _chosen(6, {6: 1}) != (0, 1, 2, 3, 4, 5)


def test_no_day_at_all_chooses_nothing_narrower() -> None:
    empty = np.zeros(0, dtype=np.bool_)
    assert likeliest(empty, empty, np.zeros(0, dtype=np.int64)) == tuple(range(7))
