"""The flows ask for nothing at first, test what they are given, and what they change applies at once."""

from collections.abc import Mapping
from typing import Any

from custom_components.homeiq.const import DOMAIN
from custom_components.homeiq.engine.model import EventKind
from custom_components.homeiq.runtime import HomeIQConfigEntry, HomeIQData
from homeassistant.config_entries import SOURCE_RECONFIGURE, SOURCE_USER, ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType, InvalidData
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from tests.ha.conftest import Stored

ALL_OPTIONS: Mapping[str, Any] = {
    "retention_days": 30,
    "hour_days": 400,
    "size_cap": 500,
    "backup_content": "all",
    "attribute_events": True,
    "positions": True,
    "include": {
        "globs": ["light.*", "sensor.?_power"],
        "labels": ["kept"],
        "areas": ["kitchen"],
        "device_classes": ["motion"],
        "integrations": ["hue"],
        "domains": ["switch"],
    },
    "exclude": {
        "globs": ["sensor.noise"],
        "labels": ["dropped"],
        "areas": ["attic"],
        "device_classes": ["power"],
        "integrations": ["zha"],
        "domains": ["update"],
    },
}


async def _set_options(hass: HomeAssistant, entry: HomeIQConfigEntry, options: Mapping[str, Any]) -> None:
    begun = await hass.config_entries.options.async_init(entry.entry_id)
    done = await hass.config_entries.options.async_configure(begun["flow_id"], dict(options))
    assert done["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done()


async def _begin_reconfigure(hass: HomeAssistant, entry: HomeIQConfigEntry) -> Mapping[str, Any]:
    return await hass.config_entries.flow.async_init(
        DOMAIN, context={"source": SOURCE_RECONFIGURE, "entry_id": entry.entry_id}
    )


async def test_the_first_step_needs_no_input(hass: HomeAssistant) -> None:
    """An empty form makes the entry, with 90 days and the back-fill on."""
    begun = await hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_USER})
    assert begun["type"] is FlowResultType.FORM
    assert begun["errors"] is None or begun["errors"] == {}
    done = await hass.config_entries.flow.async_configure(begun["flow_id"], {})
    await hass.async_block_till_done()
    assert done["type"] is FlowResultType.CREATE_ENTRY
    assert done["title"] == "HomeIQ"
    assert done["result"].data == {"backfill": True}
    assert done["result"].options == {"retention_days": 90}
    assert done["result"].state is ConfigEntryState.LOADED


async def test_a_second_entry_is_refused(hass: HomeAssistant, entry: HomeIQConfigEntry) -> None:
    refused = await hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_USER})
    assert refused["type"] is FlowResultType.ABORT
    assert refused["reason"] == "single_instance_allowed"


@pytest.mark.parametrize("days", [0, 3_651, "many", None])
async def test_a_retention_out_of_bounds_is_refused(hass: HomeAssistant, days: object) -> None:
    begun = await hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_USER})
    with pytest.raises(InvalidData) as refused:
        await hass.config_entries.flow.async_configure(begun["flow_id"], {"retention_days": days})
    assert set(refused.value.schema_errors) == {"retention_days"}
    hass.config_entries.flow.async_abort(begun["flow_id"])


async def test_options_apply_to_the_next_event_without_a_reload(
    hass: HomeAssistant, entry: HomeIQConfigEntry, homeiq: HomeIQData, stored: Stored
) -> None:
    """The entry stays loaded, the same objects run on, and only events after the change obey it."""
    hass.states.async_set("sensor.noise", "1")
    assert [event.state for event in await stored("sensor.noise")] == ["1"]
    pipeline, store = homeiq.pipeline, homeiq.store
    states: list[ConfigEntryState] = []
    entry.async_on_state_change(lambda: states.append(entry.state))

    await _set_options(hass, entry, ALL_OPTIONS)

    hass.states.async_set("sensor.noise", "2")
    hass.states.async_set("light.kitchen", "on", {"brightness": 1})
    hass.states.async_set("light.kitchen", "on", {"brightness": 2})
    assert [event.state for event in await stored("sensor.noise")] == ["1"]
    assert [event.kind for event in await stored("light.kitchen")] == ["state", "attributes"]
    assert entry.options == ALL_OPTIONS
    assert (entry.runtime_data, entry.runtime_data.pipeline, entry.runtime_data.store) == (homeiq, pipeline, store)
    assert states == []


async def test_options_are_shown_as_they_are_set(hass: HomeAssistant, entry: HomeIQConfigEntry) -> None:
    await _set_options(hass, entry, ALL_OPTIONS)
    shown = await hass.config_entries.options.async_init(entry.entry_id)
    assert shown["data_schema"] is not None
    fields = {key.schema: key for key in shown["data_schema"].schema}
    suggested = {name: (key.description or {}).get("suggested_value") for name, key in fields.items()}
    assert suggested["retention_days"] == 30
    assert suggested["attribute_events"] is True
    section = shown["data_schema"].schema[fields["exclude"]].schema.schema
    assert {key.schema: key.description["suggested_value"] for key in section} == ALL_OPTIONS["exclude"]
    hass.config_entries.options.async_abort(shown["flow_id"])


@pytest.mark.parametrize(
    ("rule", "value", "error"),
    [
        *(("globs", pattern, "invalid_pattern") for pattern in ("kitchen", "light.", ".kitchen", "a.b.c", "a. b")),
        ("domains", "light.kitchen", "invalid_name"),
        ("integrations", "philips hue", "invalid_name"),
        ("device_classes", "power*", "invalid_name"),
    ],
)
@pytest.mark.parametrize("side", ["include", "exclude"])
async def test_a_rule_that_can_match_nothing_is_shown_and_can_be_corrected(
    hass: HomeAssistant, entry: HomeIQConfigEntry, rule: str, value: str, error: str, side: str
) -> None:
    begun = await hass.config_entries.options.async_init(entry.entry_id)
    wrong = await hass.config_entries.options.async_configure(begun["flow_id"], {side: {rule: [value]}})
    assert wrong["errors"] == {"base": error}
    assert (wrong["description_placeholders"] or {})["value"] == value
    right = await hass.config_entries.options.async_configure(begun["flow_id"], {side: {"globs": ["light.*"]}})
    assert right["type"] is FlowResultType.CREATE_ENTRY
    assert entry.options[side] == {"globs": ["light.*"]}


async def test_rules_are_taken_as_home_assistant_spells_names(
    hass: HomeAssistant, entry: HomeIQConfigEntry, stored: Stored
) -> None:
    rules = {
        "globs": ["Sensor.Foo*", " sensor.foo* "],
        "domains": [" Switch", ""],
        "device_classes": ["Power"],
        "integrations": ["ZHA"],
    }
    await _set_options(hass, entry, {"exclude": rules})
    assert entry.options["exclude"] == {
        "globs": ["sensor.foo*"],
        "domains": ["switch"],
        "device_classes": ["power"],
        "integrations": ["zha"],
    }
    for entity_id in ("sensor.foo_1", "switch.fan", "light.hall"):
        hass.states.async_set(entity_id, "on")
    assert {event.entity_id for event in await stored(kind=EventKind.STATE)} == {"light.hall"}


async def test_reconfiguring_changes_the_entry_without_a_reload(
    hass: HomeAssistant, entry: HomeIQConfigEntry, homeiq: HomeIQData
) -> None:
    """What the options hold beside the retention stays."""
    await _set_options(hass, entry, ALL_OPTIONS)
    begun = await _begin_reconfigure(hass, entry)
    assert begun["step_id"] == "reconfigure"
    done = await hass.config_entries.flow.async_configure(begun["flow_id"], {"retention_days": 7, "backfill": False})
    await hass.async_block_till_done()
    assert done["reason"] == "reconfigure_successful"
    assert entry.data == {"backfill": False}
    assert entry.options == {**ALL_OPTIONS, "retention_days": 7}
    assert entry.runtime_data is homeiq
    assert homeiq.backfill.progress.state == "off"


async def test_switching_the_back_fill_on_again_starts_it(hass: HomeAssistant, entry: HomeIQConfigEntry) -> None:
    for wanted in (False, True):
        begun = await _begin_reconfigure(hass, entry)
        await hass.config_entries.flow.async_configure(begun["flow_id"], {"backfill": wanted})
        await hass.async_block_till_done()
    assert entry.runtime_data.backfill.progress.state == "no_recorder"


@pytest.mark.parametrize("user_input", [{"backfill": False}])
async def test_a_back_fill_that_is_off_stays_off_whatever_else_changes(
    hass: HomeAssistant, entry: HomeIQConfigEntry, homeiq: HomeIQData
) -> None:
    await _set_options(hass, entry, ALL_OPTIONS)
    assert homeiq.backfill.progress.state == "off"
    assert homeiq.backfill_task is None


async def test_every_form_can_be_shown_by_the_frontend(
    hass: HomeAssistant, hass_client: ClientSessionGenerator, socket_enabled: None
) -> None:
    """Over Home Assistant's own HTTP API, from nothing to an entry with options and a subentry form."""
    assert await async_setup_component(hass, "websocket_api", {})
    assert await async_setup_component(hass, "config", {})
    client = await hass_client()

    async def post(path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        answer = await client.post(f"/api/config/config_entries/{path}", json=body)
        assert answer.status == 200
        return await answer.json()

    user = await post("flow", {"handler": DOMAIN})
    assert [field["name"] for field in user["data_schema"]] == ["retention_days", "backfill"]
    made = await post(f"flow/{user['flow_id']}", {})
    await hass.async_block_till_done()
    entry_id = made["result"]["entry_id"]
    options = await post("options/flow", {"handler": entry_id})
    assert [field["name"] for field in options["data_schema"]] == list(ALL_OPTIONS)
    assert (await post(f"options/flow/{options['flow_id']}", ALL_OPTIONS))["type"] == "create_entry"
    again = await post("options/flow", {"handler": entry_id})
    assert again["data_schema"][0]["description"] == {"suggested_value": 30}
    subentry = await post("subentries/flow", {"handler": [entry_id, "influxdb"]})
    assert [field["name"] for field in subentry["data_schema"]] == ["url", "token", "verify_ssl", "ca_pem"]
    reconfigure = await post("flow", {"handler": DOMAIN, "entry_id": entry_id})
    assert [field["name"] for field in reconfigure["data_schema"]] == ["retention_days", "backfill"]
