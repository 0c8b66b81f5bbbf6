"""The generator of homes keeps its promises: same seed same home, habits on their days, wall clocks over DST."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from tests.engine.synth import (
    Cause,
    Day,
    Home,
    Planted,
    Step,
    Thing,
    demo_home,
    generate,
    initial_steps,
    read_ordonez_a,
)
from tests.engine.synth.plans import AutomationFollows, ClockHabit, Motion, Undo

MADRID = ZoneInfo("Europe/Madrid")
MONDAY = date(2026, 3, 2)
HOME = demo_home()


def _local_acts(steps: list[Step], promise: Planted) -> list[datetime]:
    return [
        step.when.astimezone(MADRID)
        for step in steps
        if step.entity_id == promise.entity_id and step.state == promise.to_state
    ]


def _distance(moment: datetime, minute: float) -> float:
    clock = moment.hour * 60 + moment.minute + moment.second / 60
    return abs((clock - minute + 720) % 1440 - 720)


def test_the_same_seed_gives_the_same_home() -> None:
    assert generate(HOME, MONDAY, 10, MADRID, 7) == generate(HOME, MONDAY, 10, MADRID, 7)


def test_another_seed_gives_another_home() -> None:
    assert generate(HOME, MONDAY, 10, MADRID, 7) != generate(HOME, MONDAY, 10, MADRID, 8)


def test_a_longer_span_keeps_what_the_shorter_one_had() -> None:
    """Only the last evening may differ: the next day's habit can reach back over midnight."""
    quiet = datetime(2026, 3, 6, 12, tzinfo=MADRID)
    short = [step for step in generate(HOME, MONDAY, 5, MADRID, 1) if step.when < quiet]
    assert short == [step for step in generate(HOME, MONDAY, 12, MADRID, 1) if step.when < quiet]


def test_steps_come_in_the_order_of_time_and_each_changes_a_state() -> None:
    steps = generate(HOME, MONDAY, 5, MADRID)
    standing = {step.entity_id: step.state for step in initial_steps(HOME, MONDAY, MADRID)}
    idle = []
    for step in steps:
        idle += [step] * (standing[step.entity_id] == step.state)
        standing[step.entity_id] = step.state
    assert [step.when for step in steps] == sorted(step.when for step in steps)
    assert idle == []


@pytest.mark.parametrize("promise", HOME.planted, ids=lambda promise: promise.key)
def test_a_planted_habit_stands_on_its_days_and_in_its_window(promise: Planted) -> None:
    """Between its adherence less four standard errors and every promised day, never twice; nothing outside."""
    days = 140
    acts = _local_acts(generate(HOME, MONDAY, days, MADRID, 3), promise)
    promised = days * len(promise.weekdays) // 7
    # An act just before midnight belongs to the day that begins.
    on_days = Counter((act + timedelta(hours=2)).date() for act in acts)
    least = promise.adherence - 4 * (promise.adherence * (1 - promise.adherence) / promised) ** 0.5
    assert promised * least <= len(acts) <= promised
    assert set(on_days.values()) == {1}
    assert {day.weekday() for day in on_days} == set(promise.weekdays)
    assert max(_distance(act, promise.minute) for act in acts) <= 2 * promise.spread_min + 0.1


def test_the_midnight_habit_falls_on_both_sides_of_midnight() -> None:
    promise = next(promise for promise in HOME.planted if promise.minute == 0)
    hours = {act.hour for act in _local_acts(generate(HOME, MONDAY, 60, MADRID), promise)}
    assert hours == {23, 0}


@pytest.mark.parametrize("promise", HOME.decoys, ids=lambda promise: promise.key)
def test_a_decoy_acts_daily_by_an_automation_alone(promise: Planted) -> None:
    steps = [step for step in generate(HOME, MONDAY, 14, MADRID) if step.entity_id == promise.entity_id]
    acts = _local_acts(steps, promise)
    assert len(acts) == 14
    assert {step.cause for step in steps} == {Cause.AUTOMATION}
    assert {step.by for step in steps} <= {automation.entity_id for automation in HOME.automations}


def test_habits_keep_the_wall_clock_over_the_change_to_summer_time() -> None:
    """Madrid changes on 29 March 2026: a habit at 07:00 moves from 06:00 to 05:00 UTC."""
    plan = ClockHabit(
        key="k",
        entity_id="light.a",
        to_state="on",
        minute=420,
        spread_min=0,
        user=None,
        undo=Undo(to_state="off", after_min=60, after_max=60),
    )
    home = Home(things=(Thing(entity_id="light.a", name="A"),), users={}, automations=(), plans=(plan,))
    steps = generate(home, date(2026, 3, 28), 3, MADRID)
    assert [step.when.hour for step in steps] == [6, 7, 5, 6, 5, 6]
    assert {step.when.tzinfo for step in steps} == {UTC}


def test_a_minute_in_the_skipped_hour_is_an_hour_later_and_one_in_the_repeated_hour_is_the_first() -> None:
    assert _day(date(2026, 3, 29)).at(150) == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    assert _day(date(2026, 10, 25)).at(150) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


def test_an_automation_follows_its_leader_step_by_step() -> None:
    leader = Motion(key="m", entity_id="binary_sensor.m", per_hour=5)
    follower = AutomationFollows(key="f", automation="automation.f", entity_id="light.f", leader=leader)
    led = list(leader.steps(_day(MONDAY).seen_by("m")))
    followed = list(follower.steps(_day(MONDAY).seen_by("f")))
    assert len(led) > 10
    assert [step.state for step in followed] == [step.state for step in led]
    assert all(
        timedelta(0) < echo.when - step.when < timedelta(milliseconds=50)
        for echo, step in zip(followed, led, strict=True)
    )


def test_everything_that_moves_is_a_thing_of_the_home() -> None:
    moved = {step.entity_id for step in generate(HOME, MONDAY, 20, MADRID)}
    assert moved == {thing.entity_id for thing in HOME.things}


def test_plan_keys_are_unique_since_they_seed_chance() -> None:
    keys = [plan.key for plan in HOME.plans]
    assert len(keys) == len(set(keys))


def test_the_real_log_is_read_whole_and_in_order() -> None:
    steps = read_ordonez_a()
    assert len(steps) == 818
    assert len({step.entity_id for step in steps}) == 12
    assert steps[0].when == datetime(2011, 11, 28, 1, 27, 59, tzinfo=UTC)
    assert [step.when for step in steps] == sorted(step.when for step in steps)


def test_what_automations_drive_nobody_else_moves() -> None:
    causes = {step.cause for step in generate(HOME, MONDAY, 14, MADRID) if step.entity_id in HOME.driven}
    assert causes == {Cause.AUTOMATION}
    assert {promise.entity_id for promise in HOME.decoys} < HOME.driven


def _day(day: date) -> Day:
    return Day(day, MADRID, seed=0, key="k")
