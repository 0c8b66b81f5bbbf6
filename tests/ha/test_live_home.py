"""The live home answers from the state machine, the registries and the services' own schemas."""

from typing import Any

from custom_components.homeiq.adapters.live_home import HassLiveHome
from homeassistant.core import CoreState, HomeAssistant, ServiceCall
from homeassistant.helpers import (
    area_registry as ar,
    device_registry as dr,
    entity_registry as er,
    floor_registry as fr,
    label_registry as lr,
)
from homeassistant.setup import async_setup_component
import probatio
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry


async def test_entities_are_known_by_state_by_registry_and_by_registry_id(hass: HomeAssistant) -> None:
    hass.states.async_set("light.hall", "on")
    entry = er.async_get(hass).async_get_or_create("light", "demo", "1", suggested_object_id="attic")
    home = HassLiveHome(hass)
    assert home.entity_exists("light.hall") is True
    assert home.entity_exists("light.attic") is True
    assert home.entity_exists(entry.id) is True
    assert home.entity_exists("light.gone") is False


async def test_while_starting_what_is_missing_is_not_known(hass: HomeAssistant) -> None:
    hass.set_state(CoreState.not_running)
    home = HassLiveHome(hass)
    assert home.entity_exists("light.gone") is None
    assert home.service_exists("light", "turn_on") is None
    hass.states.async_set("light.hall", "on")
    assert home.entity_exists("light.hall") is True


async def test_an_integration_is_known_once_it_is_set_up(hass: HomeAssistant) -> None:
    home = HassLiveHome(hass)
    assert home.integration_loaded("counter") is False
    assert await async_setup_component(hass, "counter", {})
    assert home.integration_loaded("counter") is True
    hass.set_state(CoreState.starting)
    assert home.integration_loaded("timer") is None


async def test_places_are_known_by_their_registries(hass: HomeAssistant) -> None:
    entry = MockConfigEntry(domain="demo")
    entry.add_to_hass(hass)
    device = dr.async_get(hass).async_get_or_create(config_entry_id=entry.entry_id, identifiers={("demo", "1")})
    area = ar.async_get(hass).async_create("Hall")
    floor = fr.async_get(hass).async_create("Ground")
    label = lr.async_get(hass).async_create("Holiday")
    home = HassLiveHome(hass)
    assert home.device_exists(device.id) is True
    assert home.area_exists(area.id) is True
    assert home.floor_exists(floor.floor_id) is True
    assert home.label_exists(label.label_id) is True
    assert home.device_exists("x") is False
    assert home.area_exists("x") is False
    assert home.floor_exists("x") is False
    assert home.label_exists("x") is False


@pytest.mark.parametrize(
    ("service", "data", "reason"),
    [
        ("turn_on", {"entity_id": "light.hall", "brightness_pct": 50}, None),
        ("turn_on", {"entity_id": ["light.hall"], "brightness_pct": "{{ x }}"}, None),
        ("turn_on", {"entity_id": "{{ trigger.entity_id }}"}, None),
        ("turn_on", {"entity_id": "light.hall", "rgb_color": ["{{ r }}", 0, 0]}, None),
        ("turn_on", {"entity_id": "light.hall", "brightness_pct": "bright"}, "brightness_pct"),
        ("turn_on", {"entity_id": "light.hall", "brigthness": 3, "effect": "{{ x }}"}, "brigthness"),
        ("turn_on", {"entity_id": "light.hall", "rgb_color": [300, -1, 0]}, "rgb_color"),
        ("turn_on", {"brightness_pct": 50}, "entity_id"),
        ("no_such_service", {"a": 1}, None),
    ],
)
async def test_service_data_is_checked_against_the_live_schema(
    hass: HomeAssistant, service: str, data: dict[str, Any], reason: str | None
) -> None:
    assert await async_setup_component(hass, "light", {})
    home = HassLiveHome(hass)
    assert home.service_exists("light", "turn_on") is True
    before = repr(data)
    answer = home.check_service_data("light", service, data)
    assert (answer is None) is (reason is None)
    assert reason is None or reason in str(answer)
    assert repr(data) == before


async def test_a_schema_that_fails_itself_speaks_against_constant_data_only(hass: HomeAssistant) -> None:
    async def handle(_: ServiceCall) -> None:
        return

    def fail(_: object) -> object:
        raise RuntimeError("on purpose")

    hass.services.async_register("demo", "broken", handle, schema=probatio.Schema(fail))
    hass.services.async_register("demo", "free", handle)
    home = HassLiveHome(hass)
    assert "on purpose" in str(home.check_service_data("demo", "broken", {"a": 1}))
    assert home.check_service_data("demo", "broken", {"a": ["{{ x }}", 1]}) is None
    assert home.check_service_data("demo", "free", {"a": 1}) is None
