"""A habit becomes an automation in current syntax that tells its figures."""

from dataclasses import replace
from datetime import date

import pytest

from homeiq_engine.model import Draft, DraftError, Evidence, Habit, HabitKind
from homeiq_engine.suggestions import draft_from_habit

_HABIT = Habit(
    key="k",
    kind=HabitKind.TIME,
    entity_id="light.kitchen",
    to_state="on",
    minute=404.6,
    spread_min=3.4,
    window_min=11.0,
    weekdays=(0, 1, 2, 3, 4),
    evidence=Evidence(
        days_observed=30,
        days_possible=22,
        days_held=21,
        first_day=date(2026, 3, 2),
        last_day=date(2026, 3, 31),
        base_rate=0.0123,
        lift=77.6,
        wilson_low=0.782,
        wilson_high=0.992,
        p_value=1e-38,
        q_value=1e-34,
        held_out=0.8,
        held_out_days=5,
        held_on=(),
        failed_on=(),
    ),
)


def _draft(entity_id: str = "light.kitchen", to_state: str = "on", minute: float = 404.6) -> Draft:
    return draft_from_habit(replace(_HABIT, entity_id=entity_id, to_state=to_state, minute=minute), "Kitchen")


def test_the_draft_is_a_complete_automation_in_current_syntax() -> None:
    draft = _draft()
    assert draft.config == {
        "alias": "Turn on Kitchen at 06:45 on weekdays",
        "description": draft.explanation,
        "triggers": [{"trigger": "time", "at": "06:45:00"}],
        "conditions": [{"condition": "time", "weekday": ["mon", "tue", "wed", "thu", "fri"]}],
        "actions": [{"action": "light.turn_on", "target": {"entity_id": "light.kitchen"}}],
        "mode": "single",
    }


def test_the_explanation_tells_the_figures_in_plain_words() -> None:
    assert _draft().explanation == (
        "You turn on Kitchen by hand around 06:45 on weekdays: on 21 of the 22 days on which it could be seen, within"
        " 11 minutes of that time (typically 3 to either side). At other times the same happens on at most 1.2% of days"
        " in an equally long span, so this is 78 times as often as chance would have it; with 95 % confidence it holds"
        " on 78% to 99% of these days. Of the last 5 such days, which were kept back to test it, it held on 4."
    )


def test_too_few_days_to_keep_some_back_are_admitted() -> None:
    habit = replace(_HABIT, evidence=replace(_HABIT.evidence, held_out=None, held_out_days=2))
    assert draft_from_habit(habit, "K").explanation.endswith(
        "There were too few recent days to keep some back for a test."
    )


@pytest.mark.parametrize(
    ("weekdays", "words", "condition"),
    [
        ((0, 1, 2, 3, 4, 5, 6), "every day", []),
        ((5, 6), "at weekends", [{"condition": "time", "weekday": ["sat", "sun"]}]),
        ((2,), "on Wednesdays", [{"condition": "time", "weekday": ["wed"]}]),
        (
            (0, 2, 4),
            "on Mondays, Wednesdays and Fridays",
            [{"condition": "time", "weekday": ["mon", "wed", "fri"]}],
        ),
    ],
)
def test_the_weekdays_are_named_and_become_a_condition_unless_all(
    weekdays: tuple[int, ...], words: str, condition: list[object]
) -> None:
    config = draft_from_habit(replace(_HABIT, weekdays=weekdays), "Kitchen").config
    assert config["alias"] == f"Turn on Kitchen at 06:45 {words}"
    assert config["conditions"] == condition


@pytest.mark.parametrize(("minute", "at"), [(0.2, "00:00:00"), (1439.4, "23:59:00"), (1439.7, "00:00:00")])
def test_the_time_is_the_nearest_minute_of_the_clock(minute: float, at: str) -> None:
    assert _draft(minute=minute).config["triggers"] == [{"trigger": "time", "at": at}]


@pytest.mark.parametrize(
    ("entity_id", "to_state", "action", "data"),
    [
        ("light.a", "off", "light.turn_off", None),
        ("switch.a", "on", "switch.turn_on", None),
        ("fan.a", "on", "fan.turn_on", None),
        ("input_boolean.a", "off", "input_boolean.turn_off", None),
        ("siren.a", "on", "siren.turn_on", None),
        ("humidifier.a", "off", "humidifier.turn_off", None),
        ("remote.a", "on", "remote.turn_on", None),
        ("media_player.a", "on", "media_player.turn_on", None),
        ("media_player.a", "playing", "media_player.media_play", None),
        ("media_player.a", "paused", "media_player.media_pause", None),
        ("cover.a", "open", "cover.open_cover", None),
        ("cover.a", "closed", "cover.close_cover", None),
        ("valve.a", "open", "valve.open_valve", None),
        ("valve.a", "closed", "valve.close_valve", None),
        ("lock.a", "locked", "lock.lock", None),
        ("lock.a", "unlocked", "lock.unlock", None),
        ("vacuum.a", "cleaning", "vacuum.start", None),
        ("vacuum.a", "paused", "vacuum.pause", None),
        ("vacuum.a", "returning", "vacuum.return_to_base", None),
        ("vacuum.a", "docked", "vacuum.return_to_base", None),
        ("lawn_mower.a", "mowing", "lawn_mower.start_mowing", None),
        ("lawn_mower.a", "docked", "lawn_mower.dock", None),
        ("climate.a", "heat", "climate.set_hvac_mode", {"hvac_mode": "heat"}),
        ("climate.a", "off", "climate.set_hvac_mode", {"hvac_mode": "off"}),
        ("water_heater.a", "eco", "water_heater.set_operation_mode", {"operation_mode": "eco"}),
        ("select.a", "Movie night", "select.select_option", {"option": "Movie night"}),
        ("input_select.a", "Away", "input_select.select_option", {"option": "Away"}),
    ],
)
def test_each_state_is_reached_by_one_call(
    entity_id: str, to_state: str, action: str, data: dict[str, str] | None
) -> None:
    expected = {"action": action, "target": {"entity_id": entity_id}}
    assert _draft(entity_id, to_state).config["actions"] == [expected | ({"data": data} if data else {})]


@pytest.mark.parametrize(
    ("entity_id", "to_state"),
    [("climate.a", "defrosting"), ("media_player.a", "idle"), ("lock.a", "open"), ("timer.a", "active")],
)
def test_a_state_that_no_plain_call_reaches_is_refused_with_a_reason(entity_id: str, to_state: str) -> None:
    with pytest.raises(DraftError, match=f"{entity_id} into the state {to_state}") as refused:
        _draft(entity_id, to_state)
    assert refused.value.placeholders == {"entity_id": entity_id, "state": to_state, "reason": "no_action"}


def test_the_key_does_not_depend_on_the_wording() -> None:
    other = draft_from_habit(_HABIT, "{Küche} {{ states }}")
    assert other.config["alias"] == "Turn on {Küche} {{ states }} at 06:45 on weekdays"
    assert other.key == _draft().key


@pytest.mark.parametrize(
    "other",
    [
        replace(_HABIT, entity_id="light.hall"),
        replace(_HABIT, to_state="off"),
        replace(_HABIT, minute=500.0),
        replace(_HABIT, weekdays=(5, 6)),
    ],
)
def test_the_key_depends_on_what_the_automation_does(other: Habit) -> None:
    assert draft_from_habit(other, "Kitchen").key != _draft().key
