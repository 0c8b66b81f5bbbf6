"""A run tells the best habits, each once, and a reason for each act that is none."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from homeiq_engine.mining import ACTUATOR_DOMAINS, mine
from homeiq_engine.model import Json, MiningResult, as_list, as_number, as_object, as_text, as_whole
from tests.engine.mining._plant import Home


def _busy_home() -> Home:
    home = Home(42)
    home.habit("light.sure", 420, spread=3)
    home.habit("light.fair", 800, days=[day for day in range(42) if day % 5])
    home.habit("lock.door", 1350, days=[day for day in range(42) if day % 10], state="locked")
    home.noise("switch.any", 0.4)
    return home


def test_the_surest_habit_comes_first() -> None:
    home = _busy_home()
    result = mine(home.columns(), home.tz)
    assert [habit.entity_id for habit in result.habits] == ["light.sure", "lock.door", "light.fair"]
    assert [(r.entity_id, r.reason) for r in result.rejections] == [("switch.any", "too_few_days")]
    assert (result.days_observed, result.events_read) == (42, 42 * 96 - 4)  # one day has 23 hours


def test_what_lies_beyond_the_limit_is_told_as_such() -> None:
    home = _busy_home()
    result = mine(home.columns(), home.tz, limit=1)
    assert [habit.entity_id for habit in result.habits] == ["light.sure"]
    assert [(r.entity_id, r.reason) for r in result.rejections[:2]] == [
        ("lock.door", "not_in_top"),
        ("light.fair", "not_in_top"),
    ]


def test_only_the_entities_asked_for_are_mined() -> None:
    home = _busy_home()
    result = mine(home.columns(), home.tz, entity_ids={"lock.door"})
    assert [habit.entity_id for habit in result.habits] == ["lock.door"]
    assert result.rejections == ()


def test_an_empty_home_has_no_habits() -> None:
    home = Home(10)
    assert mine(home.columns(), home.tz) == MiningResult(habits=(), rejections=(), days_observed=10, events_read=960)


def test_a_daily_habit_is_told_once_and_not_for_weekdays_again() -> None:
    """Also if its weekdays were kept without fail and one Sunday was not."""
    home = Home(42)
    home.habit("light.a", 420, days=[day for day in range(42) if day != 13])
    assert [habit.weekdays for habit in mine(home.columns(), home.tz).habits] == [tuple(range(7))]


@pytest.mark.parametrize("length_us", [-86_400_000_000, 0, 1, 3_600_000_000])
def test_a_range_without_a_whole_day_has_no_habits(length_us: int) -> None:
    home = _busy_home()
    columns = home.columns()
    result = mine(replace(columns, end_us=columns.start_us + length_us), home.tz)
    assert (result.days_observed, result.habits) == (0, ())


def test_sensors_are_never_effects() -> None:
    assert {"sensor", "binary_sensor", "person", "automation"}.isdisjoint(ACTUATOR_DOMAINS)


def test_the_result_survives_the_wire() -> None:
    home = _busy_home()
    result = mine(home.columns(), home.tz)
    assert MiningResult.from_json(result.as_json()) == result


@pytest.mark.parametrize("missing", ["habits", "rejections", "days_observed", "events_read"])
def test_half_a_result_is_refused(missing: str) -> None:
    answer = mine(Home(3).columns(), Home(3).tz).as_json()
    del answer[missing]
    with pytest.raises(KeyError, match=missing):
        MiningResult.from_json(answer)


@pytest.mark.parametrize(
    ("read", "bad"),
    [
        (as_object, []),
        (as_list, {}),
        (as_text, 1),
        (as_whole, 1.0),
        (as_whole, True),
        (as_number, "1"),
        (as_number, False),
    ],
)
def test_json_of_another_type_is_refused(read: Callable[[Json], object], bad: Json) -> None:
    with pytest.raises(ValueError, match="expected"):
        read(bad)


@pytest.mark.slow
def test_two_hundred_homes_of_chance_have_hardly_a_habit() -> None:
    """One false habit per hundred homes is the most, of a thousand random series each day, evening or morning long."""
    false = 0
    for seed in range(200):
        home = Home(28, seed=seed)
        home.noise("light.flat", home.random.choice([0.3, 1, 4]))
        home.noise("light.waking", home.random.choice([1, 3, 10]), hours=(7, 23))
        home.noise("light.evening", home.random.choice([0.5, 1, 3]), hours=(18, 23))
        home.noise("light.morning", home.random.choice([1, 3, 8]), hours=(5, 9))
        home.noise("switch.busy", 40)
        false += len(mine(home.columns(), home.tz).habits)
    assert false <= 2
