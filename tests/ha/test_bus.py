"""What happens on a real bus is stored with who caused it, and without what must not be kept."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
import json
from pathlib import Path
from typing import Any

from custom_components.homeiq.adapters.service_data import keep_service_data
from custom_components.homeiq.const import DOMAIN
from custom_components.homeiq.engine.model import Event, EventKind, Origin
from custom_components.homeiq.runtime import HomeIQConfigEntry, HomeIQData
from homeassistant.auth.models import User
from homeassistant.components.diagnostics import REDACTED
from homeassistant.core import Context, HomeAssistant, ServiceCall
from homeassistant.helpers import area_registry as ar, entity_registry as er, label_registry as lr
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_mock_service
from pytest_homeassistant_custom_component.components.diagnostics import get_diagnostics_for_config_entry
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from tests.ha.conftest import Flush, Stored, store_path

HELPERS: Mapping[str, Any] = {
    "input_boolean": {"lamp": {}, "fan": {}, "trigger": {}, "night": {}},
    "scene": [{"name": "Evening", "entities": {"input_boolean.lamp": "on"}}],
    "script": {
        "welcome": {"sequence": [{"action": "input_boolean.turn_on", "target": {"entity_id": "input_boolean.fan"}}]}
    },
    "automation": [
        {
            "id": "follow",
            "alias": "Lamp follows",
            "triggers": [{"trigger": "state", "entity_id": "input_boolean.trigger", "to": "on"}],
            "actions": [
                {"action": "input_boolean.turn_on", "target": {"entity_id": "input_boolean.lamp"}},
                {"action": "script.welcome"},
            ],
        }
    ],
}


@pytest.fixture
async def home(hass: HomeAssistant, entry: HomeIQConfigEntry) -> None:
    """Set real helpers, a scene, a script and an automation up."""
    for domain, config in HELPERS.items():
        assert await async_setup_component(hass, domain, {domain: config})
    await hass.async_block_till_done()


async def _call(hass: HomeAssistant, name: str, entity_id: str | None = None, context: Context | None = None) -> None:
    domain, service = name.split(".")
    data = {} if entity_id is None else {"entity_id": entity_id}
    await hass.services.async_call(domain, service, data, blocking=True, context=context)
    await hass.async_block_till_done()


def _causes(events: list[Event]) -> list[tuple[str | None, str, str | None]]:
    return [(event.state, event.origin.value, event.responsible) for event in events]


@pytest.mark.usefixtures("home")
async def test_what_a_user_does_is_the_users(hass: HomeAssistant, hass_admin_user: User, stored: Stored) -> None:
    context = Context(user_id=hass_admin_user.id)
    await _call(hass, "input_boolean.turn_on", "input_boolean.lamp", context)
    (*_, event) = await stored("input_boolean.lamp")
    assert (event.state, event.old_state, event.origin) == ("on", "off", Origin.USER)
    assert (event.responsible, event.user_id, event.context_id) == (context.user_id, context.user_id, context.id)
    (*_, call) = await stored(kind=EventKind.CALL)
    assert (call.name, call.origin, call.context_id) == ("input_boolean.turn_on", Origin.USER, context.id)
    assert json.loads(call.payload or "") == {"entity_id": "input_boolean.lamp"}


@pytest.mark.usefixtures("home")
async def test_what_an_automation_does_is_the_automations_also_through_a_script(
    hass: HomeAssistant, hass_admin_user: User, stored: Stored
) -> None:
    """The user's act on the trigger stays the user's."""
    user = Context(user_id=hass_admin_user.id)
    await _call(hass, "input_boolean.turn_on", "input_boolean.trigger", user)
    assert _causes(await stored("input_boolean.trigger"))[-1] == ("on", "user", user.user_id)
    assert _causes(await stored("input_boolean.lamp"))[-1] == ("on", "automation", "automation.lamp_follows")
    assert _causes(await stored("input_boolean.fan"))[-1] == ("on", "automation", "automation.lamp_follows")
    (run,) = await stored(kind=EventKind.AUTOMATION)
    assert (run.entity_id, run.name, run.parent_id) == ("automation.lamp_follows", "Lamp follows", user.id)
    assert "input_boolean.trigger" in (run.payload or "")
    (script,) = await stored(kind=EventKind.SCRIPT)
    assert (script.entity_id, script.origin) == ("script.welcome", Origin.AUTOMATION)


@pytest.mark.usefixtures("home")
async def test_what_a_users_script_and_scene_do_is_theirs(
    hass: HomeAssistant, hass_admin_user: User, stored: Stored
) -> None:
    await _call(hass, "script.welcome", None, Context(user_id=hass_admin_user.id))
    assert _causes(await stored("input_boolean.fan"))[-1] == ("on", "script", "script.welcome")
    await _call(hass, "scene.turn_on", "scene.evening", Context(user_id=hass_admin_user.id))
    assert _causes(await stored("input_boolean.lamp"))[-1] == ("on", "scene", "scene.evening")


async def test_what_nobody_called_for_is_the_devices_but_not_its_appearance(
    hass: HomeAssistant, stored: Stored
) -> None:
    for state in ("off", "on", "unavailable", "on"):
        hass.states.async_set("binary_sensor.door", state)
    assert _causes(await stored("binary_sensor.door")) == [
        ("off", "system", None),
        ("on", "device", None),
        ("unavailable", "system", None),
        ("on", "system", None),
    ]


async def test_the_end_of_an_entity_is_kept(hass: HomeAssistant, stored: Stored) -> None:
    hass.states.async_set("sensor.old", "1")
    hass.states.async_remove("sensor.old")
    assert [(event.state, event.old_state) for event in await stored("sensor.old")] == [("1", None), (None, "1")]


async def test_unit_class_and_time_in_the_former_state_are_kept(hass: HomeAssistant, stored: Stored) -> None:
    attributes = {"unit_of_measurement": "W", "device_class": "power"}
    hass.states.async_set("sensor.power", "1.5", attributes, timestamp=1_790_000_000.25)
    hass.states.async_set("sensor.power", "2.5", attributes, timestamp=1_790_000_060.5)
    (first, second) = await stored("sensor.power")
    assert (first.time_us, second.time_us) == (1_790_000_000_250_000, 1_790_000_060_500_000)
    assert (second.value, second.held_us) == (2.5, 60_250_000)
    assert (second.facts.unit, second.facts.device_class) == ("W", "power")


async def test_changes_of_attributes_alone_are_counted_and_not_kept(
    hass: HomeAssistant, homeiq: HomeIQData, stored: Stored
) -> None:
    for brightness in (1, 2, 3):
        hass.states.async_set("light.kitchen", "on", {"brightness": brightness})
    assert [event.kind for event in await stored("light.kitchen")] == [EventKind.STATE]
    assert (await homeiq.store.stats()).counters["attribute_only"] == 2


async def test_a_state_that_is_reported_as_new_is_kept_though_it_is_the_same(
    hass: HomeAssistant, homeiq: HomeIQData, stored: Stored
) -> None:
    """A remote says "single" twice when its button is pressed twice."""
    for _ in range(2):
        hass.states.async_set("sensor.button", "single", force_update=True)
    hass.states.async_set("sensor.button", "single")
    events = await stored("sensor.button")
    assert [(event.kind, event.state, event.old_state) for event in events] == [
        (EventKind.STATE, "single", None),
        (EventKind.STATE, "single", "single"),
    ]


async def test_changes_of_attributes_are_kept_if_the_user_wants_them(
    hass: HomeAssistant, entry: HomeIQConfigEntry, stored: Stored
) -> None:
    hass.config_entries.async_update_entry(entry, options={**entry.options, "attribute_events": True})
    await hass.async_block_till_done()
    for brightness in (1, 2):
        hass.states.async_set("light.kitchen", "on", {"brightness": brightness})
    events = await stored("light.kitchen")
    assert [event.kind for event in events] == [EventKind.STATE, EventKind.ATTRIBUTES]
    assert json.loads(events[1].payload or "") == {"brightness": 2}


POSITION: Mapping[str, Any] = {
    "latitude": 51.12345678,
    "longitude": -0.87654321,
    "gps_accuracy": 7531,
    "address": "Baker Street 221b",
    "source_type": "gps",
    "trip": {"lat": 51.12345678, "steps": [{"longitude": -0.87654321}]},
}
POSITION_TEXTS = (b"51.12345678", b"0.87654321", b"7531", b"Baker Street")


async def test_positions_never_reach_the_disk_unless_switched_on(
    hass: HomeAssistant, entry: HomeIQConfigEntry, homeiq: HomeIQData, flush: Flush, stored: Stored
) -> None:
    """Neither in attributes, however deep, nor as the state of a geocoded sensor; afterwards they are all there."""

    def travel() -> None:
        for state in ("home", "not_home"):
            hass.states.async_set("device_tracker.phone", state, POSITION)
            hass.states.async_set("sensor.phone_geocoded_location", f"Baker Street 221b, {state}")

    travel()
    await flush()
    assert _found(hass, POSITION_TEXTS) == []
    assert await stored("sensor.phone_geocoded_location") == []
    assert json.loads((await stored("device_tracker.phone"))[0].payload or "")["source_type"] == "gps"

    hass.config_entries.async_update_entry(entry, options={**entry.options, "positions": True})
    await hass.async_block_till_done()
    travel()
    await flush()
    assert _found(hass, POSITION_TEXTS) == list(POSITION_TEXTS)


def _found(hass: HomeAssistant, texts: tuple[bytes, ...]) -> list[bytes]:
    """Return which texts stand anywhere in the store's files, side files included."""
    held = b"".join(file.read_bytes() for file in store_path(hass).parent.iterdir())
    return [text for text in texts if text in held]


SECRETS = (b"86420975", b"hunter2", b"The window is open", b"tok-abcdef", b"k3y-123456")


async def test_no_secret_of_a_service_call_is_held_anywhere(
    hass: HomeAssistant,
    hass_client: ClientSessionGenerator,
    entry: HomeIQConfigEntry,
    flush: Flush,
    socket_enabled: None,
) -> None:
    """Not in memory's buffer, store, WAL, service response or diagnostics; the call itself is there."""
    calls: list[tuple[str, str, dict[str, Any]]] = [
        ("alarm_control_panel", "alarm_disarm", {"entity_id": "alarm_control_panel.home", "code": 86420975}),
        ("lock", "unlock", {"entity_id": "lock.door", "code": "86420975"}),
        ("script", "open_door", {"value": "86420975", "variables": {"code": "86420975"}}),
        ("input_text", "set_value", {"entity_id": "input_text.wifi", "value": "hunter2"}),
        ("light", "turn_on", {"effect": {"code": "86420975"}, "flash": [{"pin": 86420975}], "api_key": "k3y-123456"}),
        ("notify", "phone", {"message": "The window is open", "title": "The window is open", "data": {"t": "hunter2"}}),
        ("rest_command", "login", {"token": "tok-abcdef", "value": "hunter2", "option": "hunter2"}),
    ]
    for domain, service, _ in calls:
        async_mock_service(hass, domain, service)
    for domain, service, data in calls:
        await hass.services.async_call(domain, service, data, blocking=True)
    waiting = repr(list(entry.runtime_data.pipeline.buffer._items)).encode()
    assert [secret for secret in SECRETS if secret in waiting] == []
    await flush()
    answer = await hass.services.async_call(
        DOMAIN, "query_events", {"kinds": ["call"]}, blocking=True, return_response=True
    )
    assert answer is not None
    names = [event["name"] for event in answer["events"]]  # type: ignore[union-attr,index,call-overload]
    assert names == [f"{domain}.{service}" for domain, service, _ in calls]
    assert await async_setup_component(hass, "diagnostics", {})
    diagnostics = await get_diagnostics_for_config_entry(hass, hass_client, entry)
    told = json.dumps([answer, diagnostics]).encode()
    assert [secret for secret in SECRETS if secret in told] == []
    assert _found(hass, SECRETS) == []


async def test_the_state_of_a_password_helper_is_not_kept(hass: HomeAssistant, stored: Stored) -> None:
    for state in ("hunter2", "hunter3"):
        hass.states.async_set("input_text.wifi", state, {"mode": "password"})
    hass.states.async_remove("input_text.wifi")
    events = await stored("input_text.wifi")
    # That it changed is an act like any other; what it is now is nobody's business.
    assert [(event.state, event.old_state) for event in events] == [
        (REDACTED, None),
        (REDACTED, REDACTED),
        (None, REDACTED),
    ]
    assert _found(hass, (b"hunter",)) == []


@pytest.mark.parametrize(
    ("domain", "data", "kept"),
    [
        (
            "light",
            {"entity_id": ["light.a", "light.b"], "brightness": 3},
            {"entity_id": ["light.a", "light.b"], "brightness": 3},
        ),
        ("light", {"rgb_color": (1, 2, 3), "transition": 1.5}, {"rgb_color": [1, 2, 3], "transition": 1.5}),
        ("light", {"area_id": {"kitchen"}, "device_id": None}, {"area_id": ["kitchen"], "device_id": REDACTED}),
        ("timer", {"duration": {"minutes": 5}}, {"duration": {"minutes": 5}}),
        ("timer", {"duration": dt_util.parse_duration("00:05:00")}, {"duration": "0:05:00"}),
        ("input_datetime", {"time": datetime(2026, 1, 2, 3, 4, tzinfo=UTC).time()}, {"time": "03:04:00"}),
        ("timer", {"duration": {"minutes": "hunter2"}}, {"duration": REDACTED}),
        ("light", {"effect": "x" * 33}, {"effect": REDACTED}),
        ("light", {"effect": object()}, {"effect": REDACTED}),
        ("script", {"value": 1234}, {"value": REDACTED}),
        ("light", {"unknown": 1}, {"unknown": REDACTED}),
    ],
)
def test_only_targets_and_plain_parameters_of_actuators_are_kept(
    domain: str, data: dict[str, object], kept: dict[str, object]
) -> None:
    assert keep_service_data(domain, data) == kept


async def test_own_entities_and_own_calls_are_not_kept(hass: HomeAssistant, homeiq: HomeIQData, stored: Stored) -> None:
    """Also not when one is renamed, or ends: they must not feed back."""
    await hass.services.async_call(DOMAIN, "stats", {}, blocking=True, return_response=True)
    await homeiq.coordinator.async_refresh()
    assert await stored() == []
    registry = er.async_get(hass)
    registry.async_update_entity("sensor.homeiq_buffer_depth", new_entity_id="sensor.my_depth")
    await hass.async_block_till_done()
    await homeiq.coordinator.async_refresh()
    registry.async_remove("sensor.homeiq_events_today")
    hass.states.async_set("light.kitchen", "on")
    events = await stored()
    assert {event.entity_id for event in events} == {"light.kitchen"}
    assert [event.name for event in events if event.kind is EventKind.CALL] == []


async def test_the_end_of_an_excluded_integrations_entity_is_not_kept(
    hass: HomeAssistant, entry: HomeIQConfigEntry, stored: Stored
) -> None:
    """The registry forgets an entity before the state machine tells of its end."""
    hass.config_entries.async_update_entry(entry, options={"exclude": {"integrations": ["noisy"]}})
    await hass.async_block_till_done()
    registry = er.async_get(hass)
    entity_id = registry.async_get_or_create("sensor", "noisy", "1").entity_id
    hass.states.async_set(entity_id, "1")
    assert await stored(entity_id) == []
    registry.async_remove(entity_id)
    hass.states.async_remove(entity_id)
    assert await stored(entity_id) == []


@pytest.mark.parametrize(
    ("rules", "kept"),
    [
        ({"exclude": {"domains": ["light"]}}, ["sensor.hue_b"]),
        ({"exclude": {"globs": ["light.*_a"]}}, ["sensor.hue_b"]),
        ({"exclude": {"integrations": ["hue"]}}, []),
        ({"exclude": {"device_classes": ["power"]}}, ["light.hue_a"]),
        ({"exclude": {"areas": ["kitchen"]}}, ["light.hue_a"]),
        ({"exclude": {"labels": ["guests"]}}, ["sensor.hue_b"]),
        ({"include": {"labels": ["guests"]}}, ["light.hue_a"]),
        ({"include": {"areas": ["kitchen"]}, "exclude": {"globs": ["sensor.hue_b"]}}, []),
        ({"include": {"domains": ["light"]}, "exclude": {"domains": ["light"]}}, ["light.hue_a"]),
    ],
)
async def test_each_rule_decides_from_the_next_event_on(
    hass: HomeAssistant, entry: HomeIQConfigEntry, stored: Stored, rules: dict[str, Any], kept: list[str]
) -> None:
    """Places, labels and classes are those of the registries at that time."""
    kitchen = ar.async_get(hass).async_create("Kitchen")
    guests = lr.async_get(hass).async_create("Guests")
    registry = er.async_get(hass)
    light = registry.async_get_or_create("light", "hue", "a").entity_id
    sensor = registry.async_get_or_create("sensor", "hue", "b", original_device_class="power").entity_id
    registry.async_update_entity(light, labels={guests.label_id})
    registry.async_update_entity(sensor, name="Meter", area_id=kitchen.id)
    hass.config_entries.async_update_entry(entry, options={**entry.options, **rules})
    await hass.async_block_till_done()
    hass.states.async_set(light, "on")
    hass.states.async_set(sensor, "1")
    assert [event.entity_id for event in await stored()] == kept


async def test_an_entity_knows_its_place_and_integration(hass: HomeAssistant, stored: Stored) -> None:
    other = MockConfigEntry(domain="hue")
    other.add_to_hass(hass)
    entity = er.async_get(hass).async_get_or_create("light", "hue", "1", config_entry=other)
    hass.states.async_set(entity.entity_id, "on")
    (event,) = await stored(entity.entity_id)
    assert (event.facts.integration, event.facts.registry_id) == ("hue", entity.id)


@pytest.mark.parametrize(
    ("zone", "now", "midnight"),
    [
        ("Australia/Lord_Howe", "2026-04-05T12:00:00+00:00", "2026-04-04T13:00:00+00:00"),
        ("America/St_Johns", "2026-03-08T12:00:00+00:00", "2026-03-08T03:30:00+00:00"),
        ("UTC", "2026-06-01T00:00:01+00:00", "2026-06-01T00:00:00+00:00"),
    ],
)
async def test_events_today_begin_at_the_homes_own_midnight(
    hass: HomeAssistant, homeiq: HomeIQData, freezer: Any, stored: Stored, zone: str, now: str, midnight: str
) -> None:
    """Also in zones with half hours, on days on which the clocks change."""
    await hass.config.async_set_time_zone(zone)
    freezer.move_to(now)
    begin = datetime.fromisoformat(midnight).timestamp()
    for number, moment in enumerate((begin - 0.001, begin, begin + 0.001)):
        hass.states.async_set("sensor.clock", str(number), timestamp=moment)
    await stored()
    await homeiq.coordinator.async_refresh()
    await hass.async_block_till_done()
    assert hass.states.get("sensor.homeiq_events_today").state == "2"  # type: ignore[union-attr]


async def test_a_burst_of_three_thousand_entities_is_kept_without_loss(
    hass: HomeAssistant, homeiq: HomeIQData, flush: Flush
) -> None:
    """Ten rounds over 3,000 entities, then 1,000 events a second for two seconds: every one is stored, in order."""
    for round_ in range(10):
        for number in range(3_000):
            hass.states.async_set(f"sensor.s{number}", str(round_))
        await asyncio.sleep(0)
    for tick in range(20):
        for number in range(100):
            hass.states.async_set(f"sensor.s{number}", f"tick {tick}")
        await asyncio.sleep(0.1)
    await flush()
    counts = await homeiq.store.counts_since(0)
    assert sum(count for entity, count in counts.items() if entity and entity.startswith("sensor.s")) == 32_000
    assert homeiq.pipeline.lost == 0
    assert homeiq.pipeline.stats().filtered < 1_000


async def test_a_call_whose_data_is_strange_is_kept_too(hass: HomeAssistant, stored: Stored) -> None:
    calls: list[ServiceCall] = []
    hass.services.async_register("test", "strange", calls.append)
    await hass.services.async_call("test", "strange", None, blocking=True)
    await hass.services.async_call("test", "strange", {"entity_id": {"not": "an id"}}, blocking=True)
    payloads = [json.loads(event.payload or "") for event in await stored(kind=EventKind.CALL)]
    assert payloads == [{}, {"entity_id": REDACTED}]


async def test_made_up_events_do_no_harm(hass: HomeAssistant, homeiq: HomeIQData, stored: Stored) -> None:
    """Anybody may fire these over the API, with anything in them; none is an event lost."""
    for data in (
        {},
        {"entity_id": "light.a", "old_state": None, "new_state": None},
        {"entity_id": "light.a", "old_state": None, "new_state": {"state": "on"}},
        {"entity_id": "light.a", "old_state": "off", "new_state": None},
    ):
        hass.bus.async_fire("state_changed", data)
    hass.bus.async_fire("call_service", {})
    hass.bus.async_fire("call_service", {"domain": "light", "service": "turn_on", "service_data": "nonsense"})
    hass.bus.async_fire("automation_triggered", {})
    hass.bus.async_fire("automation_triggered", {"entity_id": ["automation.a"], "name": "a"})
    hass.bus.async_fire("automation_triggered", {"entity_id": "automation.a", "name": {"a": 1}})
    hass.bus.async_fire("script_started", {"entity_id": 5})
    assert await stored("light.a") == []
    assert [event.name for event in await stored(kind=EventKind.CALL)] == ["None.None", "light.turn_on"]
    assert await stored(kind=EventKind.AUTOMATION) == []
    assert await stored(kind=EventKind.SCRIPT) == []
    assert homeiq.pipeline.lost == 0


async def test_runs_without_a_source_or_name_are_kept(hass: HomeAssistant, stored: Stored) -> None:
    hass.bus.async_fire("script_started", {"entity_id": "script.a"})
    hass.bus.async_fire("automation_triggered", {"entity_id": "automation.a", "source": "x" * 300})
    (script,) = await stored(kind=EventKind.SCRIPT)
    (run,) = await stored(kind=EventKind.AUTOMATION)
    assert (script.entity_id, script.name, script.payload) == ("script.a", None, None)
    assert json.loads(run.payload or "") == {"source": "x" * 255}


async def test_the_store_lies_in_this_tests_own_folder(
    hass: HomeAssistant, entry: HomeIQConfigEntry, tmp_path: Path
) -> None:
    assert store_path(hass).is_relative_to(tmp_path)
    assert store_path(hass).exists()
