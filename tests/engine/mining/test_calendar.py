"""Days bear witness only where Home Assistant ran and saw its devices."""

from dataclasses import replace
from datetime import date
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from homeiq_engine.mining._calendar import HomeDays, wall_minutes
from tests.engine.mining._plant import Home


def _days(home: Home) -> HomeDays:
    return HomeDays.lay_out(home.columns(), home.tz)


def test_every_whole_day_of_a_home_that_ran_is_usable() -> None:
    days = _days(Home(28))
    assert days.observed == 28
    assert days.train.sum() == 21
    assert days.date_of(0) == date(2026, 3, 2)
    assert days.weekday[:7].tolist() == list(range(7))


def test_a_day_without_any_event_is_not_usable() -> None:
    home = Home(10)
    home.silence(home.us(4, 0), home.us(5, 0))
    assert np.flatnonzero(~_days(home).usable).tolist() == [4]


def test_a_day_that_is_silent_for_more_than_half_is_not_usable() -> None:
    home = Home(10)
    home.silence(home.us(4, 0), home.us(4, 800))
    assert np.flatnonzero(~_days(home).usable).tolist() == [4]


def test_a_silent_hour_bears_no_witness_but_its_day_does_for_other_hours() -> None:
    home = Home(10)
    home.silence(home.us(4, 420), home.us(4, 540))
    days = _days(home)
    assert days.observed == 10
    assert np.flatnonzero(~days.possible(450, 20)).tolist() == [4]
    assert days.possible(600, 20).all()


@pytest.mark.parametrize(("away", "blind"), [(6, [4]), (4, [])])
def test_hours_in_which_most_entities_were_unavailable_are_blind(away: int, blind: list[int]) -> None:
    home = Home(10)
    home.outages = [(home.us(4, 400), home.us(4, 600))] * away
    days = _days(home)
    assert np.flatnonzero(~days.possible(480, 20)).tolist() == blind
    assert days.observed == 10


def test_days_that_were_unavailable_throughout_are_not_usable() -> None:
    home = Home(10)
    home.outages = [(home.us(4, 0), home.us(6, 0))] * 10
    assert np.flatnonzero(~_days(home).usable).tolist() == [4, 5]


def test_the_first_and_the_last_day_do_not_count_if_they_are_partial() -> None:
    home = Home(10)
    columns = replace(home.columns(), start_us=home.us(0, 600), end_us=home.us(9, 600))
    days = HomeDays.lay_out(columns, home.tz)
    assert np.flatnonzero(~days.usable).tolist() == [0, 9]


def test_days_before_the_first_event_do_not_count() -> None:
    home = Home(10)
    home.silence(home.us(0, 0), home.us(3, 700))
    assert np.flatnonzero(~_days(home).usable).tolist() == [0, 1, 2, 3]


def test_a_window_over_midnight_at_the_end_of_the_range_is_not_judged() -> None:
    days = _days(Home(10))
    assert np.flatnonzero(~days.possible(1435, 20)).tolist() == [9]
    assert np.flatnonzero(~days.possible(2, 20)).tolist() == [0]


def test_a_quiet_home_needs_no_event_in_every_hour() -> None:
    home = Home(10)
    home.habit("light.a", 420)
    days = HomeDays.lay_out(home.columns(sensors=False), home.tz)
    assert days.possible(900, 20)[1:].all()


def test_a_home_without_events_has_no_usable_day() -> None:
    home = Home(3)
    home.silence(home.us(0, 0), home.us(3, 0))
    assert _days(home).observed == 0


@pytest.mark.parametrize(
    ("zone", "first", "gap_day", "minute"),
    [
        ("Europe/Berlin", date(2026, 3, 26), 3, 150),  # 29 March: 2:00 to 3:00 does not exist
        ("America/St_Johns", date(2026, 3, 5), 3, 150),  # 8 March, from UTC-3:30 to UTC-2:30
        ("Australia/Lord_Howe", date(2026, 10, 1), 3, 135),  # 4 October: only 2:00 to 2:30 does not exist
    ],
)
def test_the_hour_that_spring_skips_is_no_hour_in_which_a_habit_failed(
    zone: str, first: date, gap_day: int, minute: float
) -> None:
    days = _days(Home(8, tz=zone, first=first))
    assert days.observed == 8
    impossible = np.flatnonzero(~days.possible(minute, 10)).tolist()
    assert impossible == ([gap_day] if zone != "Australia/Lord_Howe" else [])
    assert days.possible(600, 10).all()


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Asia/Kathmandu"])
def test_wall_minutes_read_as_the_clock_on_the_wall_all_year(zone: str) -> None:
    home = Home(365, tz=zone)
    time_us = np.array([home.us(day, 435) for day in range(365)], dtype=np.int64)
    assert set(np.round(wall_minutes(time_us, ZoneInfo(zone)) % 1440)) == {435}
