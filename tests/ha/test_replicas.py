"""What changes of a connection applies to its replica at once, and nothing of a removed one stays."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from types import MappingProxyType
from typing import Any
from unittest.mock import patch

from custom_components.homeiq import runtime
from custom_components.homeiq.const import DOMAIN
from custom_components.homeiq.engine.model import StoreError
from custom_components.homeiq.engine.store import Follower, cursors
from custom_components.homeiq.replica_coordinator import UPDATE_INTERVAL
from custom_components.homeiq.runtime import HomeIQConfigEntry, HomeIQData
from homeassistant.config_entries import ConfigEntryState, ConfigSubentry
from homeassistant.core import Event, EventStateChangedData, HomeAssistant, callback
from homeassistant.helpers import device_registry as dr, entity_registry as er, issue_registry as ir
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import async_fire_time_changed
from syrupy.assertion import SnapshotAssertion

from tests.ha.conftest import Stored
from tests.ha.connecting import caught_up, connect, until
from tests.servers.face_process import FaceProcess


def _entities(hass: HomeAssistant, subentry: ConfigSubentry) -> list[er.RegistryEntry]:
    registry = er.async_get(hass)
    return sorted(
        (each for each in registry.entities.values() if each.config_subentry_id == subentry.subentry_id),
        key=lambda each: each.unique_id,
    )


def _devices(hass: HomeAssistant, entry: HomeIQConfigEntry, subentry: ConfigSubentry) -> list[dr.DeviceEntry]:
    devices = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
    return [each for each in devices if each.config_subentry_id == subentry.subentry_id]


def _state(hass: HomeAssistant, subentry: ConfigSubentry, key: str) -> str:
    (entity,) = (each for each in _entities(hass, subentry) if each.unique_id.endswith(f"_{key}"))
    state = hass.states.get(entity.entity_id)
    assert state is not None
    return state.state


def _issues(hass: HomeAssistant) -> set[str]:
    return {issue.translation_key or "" for (domain, _), issue in ir.async_get(hass).issues.items() if domain == DOMAIN}


@pytest.fixture
def restarts(influx: FaceProcess) -> Iterator[FaceProcess]:
    """Return the server; it runs again after the test."""
    yield influx
    influx.stop()
    influx.start()


async def test_every_entity_of_a_replica_is_as_recorded(
    hass: HomeAssistant,
    entry: HomeIQConfigEntry,
    homeiq: HomeIQData,
    connection: dict[str, Any],
    stored: Stored,
    snapshot: SnapshotAssertion,
) -> None:
    """Names, units, classes, categories and options, of one service device by HomeIQ's own."""
    subentry = await connect(hass, entry, connection)
    hass.config_entries.async_update_subentry(entry, subentry, title="Attic")
    hass.states.async_set("light.kitchen", "on")
    await stored()
    await caught_up(homeiq)
    await homeiq.replicas.coordinator.async_refresh()
    await hass.async_block_till_done()
    described = {
        registered.unique_id.removeprefix(f"{entry.entry_id}_{subentry.subentry_id}_"): {
            "translation_key": registered.translation_key,
            "category": registered.entity_category,
            "device_class": registered.original_device_class,
            "unit": registered.unit_of_measurement,
            "capabilities": dict(registered.capabilities or {}),
            "name": registered.original_name,
        }
        for registered in _entities(hass, subentry)
    }
    assert described == snapshot(name="entries")
    steady = ("lag_events", "lag_seconds", "dead_letters", "circuit", "connectivity")
    assert {key: _state(hass, subentry, key) for key in steady} == {
        "lag_events": "0",
        "lag_seconds": "0",
        "dead_letters": "0",
        "circuit": "closed",
        "connectivity": "on",
    }
    assert float(_state(hass, subentry, "points_per_second")) > 0
    assert float(_state(hass, subentry, "bytes_sent")) > 0
    assert _state(hass, subentry, "last_success").startswith("20")
    (device,) = _devices(hass, entry, subentry)
    (main,) = (
        each
        for each in dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
        if each.identifiers == {(DOMAIN, entry.entry_id)}
    )
    assert (device.name, device.manufacturer, device.model) == ("Attic", "InfluxData", "InfluxDB 1")
    assert device.via_device_id == main.id
    assert device.entry_type is dr.DeviceEntryType.SERVICE
    assert {each.device_id for each in _entities(hass, subentry)} == {device.id}


async def test_a_server_that_goes_and_comes_back_shows_at_once_and_loses_nothing(
    hass: HomeAssistant,
    entry: HomeIQConfigEntry,
    homeiq: HomeIQData,
    restarts: FaceProcess,
    connection: dict[str, Any],
    stored: Stored,
) -> None:
    """Long before the next reading: connectivity goes off and on with the server."""
    subentry = await connect(hass, entry, connection)
    await until(hass, lambda: _state(hass, subentry, "connectivity") == "on")
    restarts.stop()
    hass.states.async_set("light.kitchen", "on")
    await stored()
    await until(hass, lambda: _state(hass, subentry, "connectivity") == "off")
    assert int(_state(hass, subentry, "lag_events")) >= 1
    restarts.start()
    homeiq.replicas.try_again(subentry.subentry_id)
    await until(hass, lambda: _state(hass, subentry, "connectivity") == "on")
    await caught_up(homeiq)
    assert "light.kitchen" in {point.get("entity_id") for point in restarts.points(connection["bucket"])}


async def test_the_entities_do_not_feed_back(
    hass: HomeAssistant, entry: HomeIQConfigEntry, homeiq: HomeIQData, connection: dict[str, Any], stored: Stored
) -> None:
    """What a replica's own entities show is neither stored nor sent."""
    subentry = await connect(hass, entry, connection)
    for number in range(3):
        hass.states.async_set("sensor.power", str(number))
        await stored()
        await caught_up(homeiq)
        await homeiq.replicas.coordinator.async_refresh()
    own = {each.entity_id for each in _entities(hass, subentry)}
    assert len(own) == 8
    assert own & {event.entity_id for event in await stored()} == set()


async def test_a_storm_of_events_does_not_make_the_entities_noisy(
    hass: HomeAssistant,
    entry: HomeIQConfigEntry,
    homeiq: HomeIQData,
    connection: dict[str, Any],
    stored: Stored,
) -> None:
    """While nothing changes its state, each entity is written at most once a minute."""
    subentry = await connect(hass, entry, connection)
    await until(hass, lambda: _state(hass, subentry, "connectivity") == "on")
    own = {each.entity_id for each in _entities(hass, subentry)}
    written: list[str] = []

    @callback
    def note(event: Event[EventStateChangedData]) -> None:
        written.append(event.data["entity_id"])

    hass.bus.async_listen("state_changed", note)
    for _ in range(4):
        for number in range(200):
            hass.states.async_set("sensor.noisy", str(number))
        await stored()
        await caught_up(homeiq)
    assert [entity_id for entity_id in written if entity_id in own] == []
    async_fire_time_changed(hass, dt_util.utcnow() + UPDATE_INTERVAL + timedelta(seconds=1))
    await until(hass, lambda: bool(own & set(written)))
    counts = {entity_id: written.count(entity_id) for entity_id in own}
    assert max(counts.values()) == 1


async def test_removing_a_connection_leaves_nothing_of_it_behind(
    hass: HomeAssistant,
    entry: HomeIQConfigEntry,
    homeiq: HomeIQData,
    influx: FaceProcess,
    connection: dict[str, Any],
    stored: Stored,
) -> None:
    """Replica, cursor, dead letters, entities, states, device and issues go; another connection's stay."""
    other = {**connection, "bucket": f"{connection['bucket']}-stays"}
    influx.create_bucket(other["bucket"])
    subentry, stays = await connect(hass, entry, connection), await connect(hass, entry, other)
    replica = homeiq.replicas[subentry.subentry_id]
    hass.states.async_set("light.kitchen", "on")
    await stored()
    await caught_up(homeiq)
    influx.drop_bucket(connection["bucket"])
    hass.states.async_set("light.kitchen", "off")
    await stored()
    await until(hass, lambda: _issues(hass) == {"replica_bucket_missing"})
    gone = {each.entity_id for each in _entities(hass, subentry)}
    assert len(gone) == 8

    hass.config_entries.async_remove_subentry(entry, subentry.subentry_id)
    await hass.async_block_till_done()

    assert list(homeiq.replicas) == [stays.subentry_id]
    assert replica.stats.state == "stopped"
    assert set(await cursors(homeiq.store)) == {f"influxdb:{stays.subentry_id}"}
    assert _entities(hass, subentry) == []
    assert gone & set(hass.states.async_entity_ids()) == set()
    assert _devices(hass, entry, subentry) == []
    assert _issues(hass) == set()
    await homeiq.replicas.coordinator.async_refresh()
    await hass.async_block_till_done()
    assert gone & set(hass.states.async_entity_ids()) == set()
    assert len(_entities(hass, stays)) == 8


async def test_a_reload_brings_the_same_entities_back(
    hass: HomeAssistant, entry: HomeIQConfigEntry, homeiq: HomeIQData, connection: dict[str, Any]
) -> None:
    subentry = await connect(hass, entry, connection)
    before = [each.entity_id for each in _entities(hass, subentry)]
    await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done()
    assert [each.entity_id for each in _entities(hass, subentry)] == before
    await until(hass, lambda: _state(hass, subentry, "connectivity") == "on")


async def test_figures_are_shown_while_the_store_cannot_be_read(
    hass: HomeAssistant, entry: HomeIQConfigEntry, homeiq: HomeIQData, connection: dict[str, Any]
) -> None:
    subentry = await connect(hass, entry, connection)
    await until(hass, lambda: _state(hass, subentry, "connectivity") == "on")
    with patch.object(Follower, "last_row_id", side_effect=StoreError("locked", reason="locked")):
        await homeiq.replicas.coordinator.async_refresh()
    assert homeiq.replicas.coordinator.last_update_success
    assert _state(hass, subentry, "circuit") == "closed"


async def test_a_place_that_cannot_be_reset_is_told_and_the_rest_is_applied(
    hass: HomeAssistant,
    entry: HomeIQConfigEntry,
    homeiq: HomeIQData,
    connection: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    subentry = await connect(hass, entry, connection)
    with patch.object(Follower, "forget", side_effect=StoreError("locked", reason="locked")):
        hass.config_entries.async_remove_subentry(entry, subentry.subentry_id)
        await hass.async_block_till_done()
    assert "A replica's place in the store could not be reset: locked" in caplog.text
    assert homeiq.replicas == {}


async def test_changes_in_quick_succession_leave_one_replica_for_each_connection(
    hass: HomeAssistant, entry: HomeIQConfigEntry, homeiq: HomeIQData, connection: dict[str, Any]
) -> None:
    subentry = await connect(hass, entry, connection)
    for number in range(5):
        data = {**connection, "verify_ssl": bool(number % 2)}
        hass.config_entries.async_update_subentry(entry, subentry, data=data, title=f"title {number}")
        hass.config_entries.async_update_entry(entry, options={**entry.options, "retention_days": 10 + number})
    await hass.async_block_till_done()
    assert list(homeiq.replicas) == [subentry.subentry_id]
    assert homeiq.replicas.subentries[subentry.subentry_id].title == "title 4"
    running = [task for task in asyncio.all_tasks() if task.get_name().startswith("homeiq replica title")]
    assert len(running) == 1


async def test_a_change_that_comes_after_the_end_starts_nothing(
    hass: HomeAssistant, entry: HomeIQConfigEntry, homeiq: HomeIQData, connection: dict[str, Any]
) -> None:
    """An update may still be on its way when the entry is unloaded."""
    await connect(hass, entry, connection)
    await hass.config_entries.async_unload(entry.entry_id)
    entry.runtime_data = homeiq
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


async def test_retention_may_rely_on_what_full_copies_have_taken(
    hass: HomeAssistant, entry: HomeIQConfigEntry, homeiq: HomeIQData, connection: dict[str, Any], stored: Stored
) -> None:
    """A new replica has taken nothing yet."""
    hass.states.async_set("light.kitchen", "on")
    await stored()
    subentry = await connect(hass, entry, connection)
    await caught_up(homeiq)
    name = f"influxdb:{subentry.subentry_id}"
    assert await homeiq.replicas.acknowledged() == {name: await homeiq.store.last_row_id()}
    await Follower(homeiq.store, name).forget()
    assert await homeiq.replicas.acknowledged() == {name: 0}
