"""Only what people did counts as an act."""

import pytest

from homeiq_engine.mining._acts import Series, series_of_acts
from homeiq_engine.model import Origin
from tests.engine.mining._plant import Home


def _acts(home: Home, **only: frozenset[str]) -> dict[tuple[str, str], list[float]]:
    series: list[Series] = series_of_acts(home.columns(), home.tz, **only)
    first = home.us(0, 0)
    offset = (home.us(0, 0) // 60_000_000 + 60) - first // 60_000_000  # Berlin in winter is an hour ahead
    return {(s.entity_id, s.to_state): [wall - first / 60e6 - offset for wall in s.wall.tolist()] for s in series}


@pytest.mark.parametrize("origin", [Origin.USER, Origin.DEVICE])
def test_a_user_and_an_unexplained_device_act(origin: Origin) -> None:
    home = Home(2)
    home.act("light.a", 1, 420, origin=origin)
    assert _acts(home) == {("light.a", "on"): [1860]}


@pytest.mark.parametrize("origin", [Origin.AUTOMATION, Origin.SCRIPT, Origin.SCENE, Origin.SYSTEM])
def test_what_a_machine_did_is_no_act(origin: Origin) -> None:
    home = Home(2)
    home.act("light.a", 1, 420, origin=origin)
    assert _acts(home) == {}


def test_what_a_device_reports_just_after_an_automation_is_an_echo() -> None:
    home = Home(2)
    home.change("cover.a", home.us(0, 420), "opening", "closed", Origin.AUTOMATION)
    home.change("cover.a", home.us(0, 420.05), "closed", "opening", Origin.DEVICE)
    home.change("cover.a", home.us(0, 421), "open", "closed", Origin.DEVICE)
    assert _acts(home) == {("cover.a", "open"): [421]}


def test_an_automation_on_another_entity_echoes_nothing() -> None:
    home = Home(2)
    home.act("light.a", 0, 420, origin=Origin.AUTOMATION)
    home.act("light.b", 0, 420)
    assert list(_acts(home)) == [("light.b", "on")]


@pytest.mark.parametrize(
    ("state", "old"),
    [("on", "on"), ("on", "unavailable"), ("unavailable", "off"), ("unknown", "off"), ("on", None), ("jammed", "on")],
)
def test_a_change_between_other_than_two_known_states_is_no_act(state: str, old: str | None) -> None:
    home = Home(2)
    home.change("light.a", home.us(0, 420), state, old)
    assert _acts(home) == {}


def test_a_double_press_is_one_gesture_that_ends_in_the_last_state() -> None:
    home = Home(2)
    home.change("light.a", home.us(0, 420), "on", "off")
    home.change("light.a", home.us(0, 420) + 2_000_000, "off", "on")
    home.change("light.a", home.us(0, 420) + 4_000_000, "on", "off")
    assert _acts(home) == {("light.a", "on"): [420]}


def test_a_gesture_that_ends_where_it_began_is_none() -> None:
    home = Home(2)
    home.change("light.a", home.us(0, 420), "on", "off")
    home.change("light.a", home.us(0, 420) + 2_000_000, "off", "on")
    assert _acts(home) == {}


def test_the_way_to_a_state_is_the_act_and_the_arrival_is_not() -> None:
    home = Home(2)
    home.change("cover.a", home.us(0, 420), "opening", "closed")
    home.change("cover.a", home.us(0, 421), "open", "opening")
    assert _acts(home) == {("cover.a", "open"): [420]}


def test_a_state_on_the_way_stands_for_one_that_was_never_reported() -> None:
    home = Home(2)
    home.change("vacuum.a", home.us(0, 420), "returning", "cleaning")
    assert _acts(home) == {("vacuum.a", "docked"): [420]}


def test_only_the_entities_asked_for_are_looked_at() -> None:
    home = Home(2)
    home.act("light.a", 0, 420)
    home.act("light.b", 0, 420)
    assert list(_acts(home, entity_ids=frozenset({"light.b"}))) == [("light.b", "on")]
