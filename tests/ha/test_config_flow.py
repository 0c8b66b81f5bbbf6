"""The flows ask for nothing at first, test what they are given, and what they change applies at once."""

import asyncio
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any
from unittest.mock import patch

from custom_components.homeiq import runtime
from custom_components.homeiq.const import DOMAIN
from custom_components.homeiq.engine.model import EventKind, StoreError
from custom_components.homeiq.engine.store import Follower
from custom_components.homeiq.runtime import HomeIQConfigEntry, HomeIQData
from homeassistant.config_entries import SOURCE_RECONFIGURE, SOURCE_USER, ConfigEntryState, ConfigSubentry
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType, InvalidData
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from tests.ha.conftest import Stored
from tests.servers.face_process import FaceProcess

ALL_OPTIONS: Mapping[str, Any] = {
    "retention_days": 30,
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


async def _begin_subentry_reconfigure(
    hass: HomeAssistant, entry: HomeIQConfigEntry, subentry_id: str
) -> Mapping[str, Any]:
    return await hass.config_entries.subentries.async_init(
        (entry.entry_id, "influxdb"), context={"source": SOURCE_RECONFIGURE, "subentry_id": subentry_id}
    )


async def _begin_subentry(hass: HomeAssistant, entry: HomeIQConfigEntry) -> str:
    begun = await hass.config_entries.subentries.async_init(
        (entry.entry_id, "influxdb"), context={"source": SOURCE_USER}
    )
    assert begun["type"] is FlowResultType.FORM
    assert begun["step_id"] == "user"
    return begun["flow_id"]


async def _add_subentry(
    hass: HomeAssistant, entry: HomeIQConfigEntry, connection: Mapping[str, object]
) -> Mapping[str, Any]:
    flow_id = await _begin_subentry(hass, entry)
    done = await hass.config_entries.subentries.async_configure(flow_id, dict(connection))
    await hass.async_block_till_done()
    return done


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
    assert wrong["description_placeholders"] == {"value": value}
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


async def test_an_influxdb_bucket_is_tested_added_and_followed_without_a_reload(
    hass: HomeAssistant,
    entry: HomeIQConfigEntry,
    homeiq: HomeIQData,
    influx: FaceProcess,
    connection: dict[str, Any],
    stored: Stored,
) -> None:
    done = await _add_subentry(hass, entry, connection)
    assert done["type"] is FlowResultType.CREATE_ENTRY
    (subentry,) = entry.subentries.values()
    assert subentry.title == f"{connection['bucket']} ({influx.url})"
    assert dict(subentry.data) == connection
    assert entry.runtime_data is homeiq
    assert list(homeiq.replicas) == [subentry.subentry_id]
    hass.states.async_set("light.kitchen", "on")
    await stored()
    (replica,) = homeiq.replicas.values()
    await _caught_up(hass, homeiq)
    assert replica.stats.last_error is None
    measurements = {point.get("entity_id") for point in influx.points(connection["bucket"])}
    assert "light.kitchen" in measurements


async def _caught_up(hass: HomeAssistant, homeiq: HomeIQData) -> None:
    """Wait until no replica lags; the test's own time limit ends it otherwise."""
    for replica in homeiq.replicas.values():
        while (await replica.fresh_stats()).lag_events:
            replica.notify()
            await asyncio.sleep(0.02)


async def test_the_same_bucket_is_not_added_twice(
    hass: HomeAssistant, entry: HomeIQConfigEntry, connection: dict[str, Any]
) -> None:
    """A slash at the end of the address or blanks around it make no other bucket."""
    await _add_subentry(hass, entry, connection)
    for url in (connection["url"], f"{connection['url']}/", f" {connection['url']} "):
        again = await _add_subentry(hass, entry, {**connection, "url": url})
        assert again["type"] is FlowResultType.ABORT
        assert again["reason"] == "already_configured"
    assert len(entry.subentries) == 1


BAD_CONNECTIONS = [
    ({"url": "http://127.0.0.1:9"}, "cannot_connect"),
    ({"token": "wrong-token-of-nobody"}, "invalid_auth"),
    ({"token": "a-token-that-may-read"}, "no_write_access"),
    ({"bucket": "no-such-bucket"}, "bucket_not_found"),
    ({"org": "no-such-org"}, "bucket_not_found"),
    ({"url": "ftp://127.0.0.1"}, "invalid_url"),
    ({"url": "http://user:pass@127.0.0.1:8086"}, "invalid_url"),
    ({"url": "nonsense"}, "invalid_url"),
]


@pytest.mark.parametrize(("change", "reason"), BAD_CONNECTIONS)
async def test_a_connection_that_does_not_work_is_explained_and_can_be_corrected(
    hass: HomeAssistant,
    entry: HomeIQConfigEntry,
    connection: dict[str, Any],
    change: dict[str, str],
    reason: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The reason and the placeholders of its text are there, the token is in neither form texts nor logs."""
    tried = {**connection, **change}
    flow_id = await _begin_subentry(hass, entry)
    wrong = await hass.config_entries.subentries.async_configure(flow_id, tried)
    assert wrong["type"] is FlowResultType.FORM
    assert wrong["errors"] == {"base": reason}
    placeholders = wrong["description_placeholders"]
    assert placeholders is not None
    assert {"url", "error", "bucket", "org"} <= set(placeholders)
    assert tried["token"] not in str(placeholders)
    assert entry.subentries == {}
    right = await hass.config_entries.subentries.async_configure(flow_id, connection)
    assert right["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done()
    assert tried["token"] not in caplog.text
    assert connection["token"] not in caplog.text


async def test_reconfiguring_a_connection_keeps_the_token_where_none_is_given_and_fills_the_new_bucket(
    hass: HomeAssistant,
    entry: HomeIQConfigEntry,
    homeiq: HomeIQData,
    influx: FaceProcess,
    connection: dict[str, Any],
    stored: Stored,
) -> None:
    """Another bucket gets all events, not only those from now on."""
    await _add_subentry(hass, entry, connection)
    hass.states.async_set("light.kitchen", "on")
    await stored()
    await _caught_up(hass, homeiq)
    (subentry,) = entry.subentries.values()
    first = homeiq.replicas[subentry.subentry_id]
    influx.create_bucket(f"{connection['bucket']}-new")
    change = {name: value for name, value in connection.items() if name != "token"}
    change["bucket"] = f"{connection['bucket']}-new"

    begun = await _begin_subentry_reconfigure(hass, entry, subentry.subentry_id)
    assert begun["data_schema"] is not None
    shown = {key.schema: key.description for key in begun["data_schema"].schema}
    assert shown["bucket"] == {"suggested_value": connection["bucket"]}
    assert connection["token"] not in str(shown)
    done = await hass.config_entries.subentries.async_configure(begun["flow_id"], change)
    await hass.async_block_till_done()

    assert done["reason"] == "reconfigure_successful"
    (changed,) = entry.subentries.values()
    assert dict(changed.data) == {**connection, "bucket": change["bucket"]}
    assert changed.title.startswith(change["bucket"])
    assert first.stats.state == "stopped"
    assert homeiq.replicas[changed.subentry_id] is not first
    assert entry.runtime_data is homeiq
    await _caught_up(hass, homeiq)
    assert "light.kitchen" in {point.get("entity_id") for point in influx.points(change["bucket"])}


async def test_a_reconfiguration_that_does_not_work_changes_nothing(
    hass: HomeAssistant, entry: HomeIQConfigEntry, influx: FaceProcess, connection: dict[str, Any]
) -> None:
    influx.create_bucket(f"{connection['bucket']}-other")
    await _add_subentry(hass, entry, connection)
    await _add_subentry(hass, entry, {**connection, "bucket": f"{connection['bucket']}-other"})
    first, second = entry.subentries.values()
    before = dict(second.data)

    begun = await _begin_subentry_reconfigure(hass, entry, second.subentry_id)
    wrong = await hass.config_entries.subentries.async_configure(begun["flow_id"], {**before, "token": "wrong-one"})
    assert wrong["errors"] == {"base": "invalid_auth"}
    assert "wrong-one" not in str(wrong["description_placeholders"])
    taken = await hass.config_entries.subentries.async_configure(begun["flow_id"], dict(first.data))
    assert taken["reason"] == "already_configured"
    assert dict(entry.subentries[second.subentry_id].data) == before


async def test_a_cursor_that_cannot_be_reset_is_told_and_the_rest_is_applied(
    hass: HomeAssistant,
    entry: HomeIQConfigEntry,
    homeiq: HomeIQData,
    connection: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    await _add_subentry(hass, entry, connection)
    (subentry,) = entry.subentries.values()
    with patch.object(Follower, "forget", side_effect=StoreError("locked", reason="locked")):
        hass.config_entries.async_remove_subentry(entry, subentry.subentry_id)
        await hass.async_block_till_done()
    assert "A replica's place in the store could not be reset: locked" in caplog.text
    assert homeiq.replicas == {}


async def test_changes_in_quick_succession_leave_one_replica_for_each_connection(
    hass: HomeAssistant, entry: HomeIQConfigEntry, homeiq: HomeIQData, connection: dict[str, Any]
) -> None:
    await _add_subentry(hass, entry, connection)
    (subentry,) = entry.subentries.values()
    for number in range(5):
        data = {**connection, "verify_ssl": bool(number % 2)}
        hass.config_entries.async_update_subentry(entry, subentry, data=data, title=f"title {number}")
        hass.config_entries.async_update_entry(entry, options={**entry.options, "retention_days": 10 + number})
    await hass.async_block_till_done()
    assert list(homeiq.replicas) == [subentry.subentry_id]
    assert homeiq.known_subentries[subentry.subentry_id].title == "title 4"
    running = [task for task in asyncio.all_tasks() if task.get_name().startswith("homeiq replica")]
    assert len(running) == 1


async def test_a_change_that_comes_after_the_end_starts_nothing(
    hass: HomeAssistant, entry: HomeIQConfigEntry, homeiq: HomeIQData, connection: dict[str, Any]
) -> None:
    """An update may still be on its way when the entry is unloaded."""
    await _add_subentry(hass, entry, connection)
    await hass.config_entries.async_unload(entry.entry_id)
    entry.runtime_data = homeiq
    homeiq.known_subentries.clear()
    homeiq.backfill.progress.state = "off"
    await runtime.async_apply(hass, entry)
    assert homeiq.replicas == {}
    assert homeiq.backfill.progress.state == "off"


async def test_a_connection_of_a_kind_from_the_future_is_left_alone(
    hass: HomeAssistant, entry: HomeIQConfigEntry, homeiq: HomeIQData
) -> None:
    future = ConfigSubentry(data=MappingProxyType({}), subentry_type="future", title="?", unique_id=None)
    hass.config_entries.async_add_subentry(entry, future)
    await hass.async_block_till_done()
    assert homeiq.replicas == {}
    await hass.config_entries.async_reload(entry.entry_id)
    assert entry.state is ConfigEntryState.LOADED


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
    assert {field["name"] for field in subentry["data_schema"]} == {"url", "org", "bucket", "token", "verify_ssl"}
    reconfigure = await post("flow", {"handler": DOMAIN, "entry_id": entry_id})
    assert [field["name"] for field in reconfigure["data_schema"]] == ["retention_days", "backfill"]


async def test_removing_a_connection_stops_its_replica_and_forgets_its_cursor(
    hass: HomeAssistant, entry: HomeIQConfigEntry, homeiq: HomeIQData, connection: dict[str, Any], stored: Stored
) -> None:
    await _add_subentry(hass, entry, connection)
    (subentry,) = entry.subentries.values()
    replica = homeiq.replicas[subentry.subentry_id]
    hass.states.async_set("light.kitchen", "on")
    await stored()
    await _caught_up(hass, homeiq)
    assert await Follower(homeiq.store, f"influxdb:{subentry.subentry_id}").cursor() is not None

    hass.config_entries.async_remove_subentry(entry, subentry.subentry_id)
    await hass.async_block_till_done(wait_background_tasks=True)

    assert homeiq.replicas == {}
    assert replica.stats.state == "stopped"
    assert await Follower(homeiq.store, f"influxdb:{subentry.subentry_id}").cursor() is None
