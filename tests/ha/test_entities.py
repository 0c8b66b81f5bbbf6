"""The entities of one service device tell how HomeIQ is; real faults show and clear by themselves."""

import asyncio
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
import sqlite3
from typing import Any
from unittest.mock import patch

from custom_components.homeiq.const import DOMAIN
from custom_components.homeiq.coordinator import UPDATE_INTERVAL
from custom_components.homeiq.engine.model import StoreError
from custom_components.homeiq.engine.store import remove_files
from custom_components.homeiq.runtime import HomeIQConfigEntry, HomeIQData
from freezegun.api import FrozenDateTimeFactory
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import Event, EventStateChangedData, HomeAssistant, callback
from homeassistant.helpers import device_registry as dr, entity_registry as er, issue_registry as ir
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import async_fire_time_changed
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator
from syrupy.assertion import SnapshotAssertion

from tests.ha.conftest import EntryOf, Flush, store_path

PROBLEM = "binary_sensor.homeiq_ingestion_problem"
CONNECTED = "binary_sensor.homeiq_store_connectivity"


def _state(hass: HomeAssistant, entity_id: str) -> str:
    state = hass.states.get(entity_id)
    assert state is not None
    return state.state


def _issues(hass: HomeAssistant) -> set[str]:
    return {issue_id for domain, issue_id in ir.async_get(hass).issues if domain == DOMAIN}


@contextmanager
def _locked(hass: HomeAssistant, mode: str = "EXCLUSIVE") -> Iterator[None]:
    """Hold the store's lock, as a copying tool would; the writer gives up at once instead of after five seconds."""
    with closing(sqlite3.connect(store_path(hass), isolation_level=None, timeout=1)) as blocker:
        blocker.execute(f"BEGIN {mode}")
        yield
        blocker.execute("ROLLBACK")


@pytest.fixture
def quick_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the store wait for a lock for a moment only."""
    monkeypatch.setattr("custom_components.homeiq.engine.store._connection.BUSY_TIMEOUT_MS", 20)


async def test_every_entity_is_as_recorded(
    hass: HomeAssistant, entry: HomeIQConfigEntry, homeiq: HomeIQData, snapshot: SnapshotAssertion, flush: Flush
) -> None:
    """Names, units, classes, categories and first values, of one service device."""
    for number in range(3):
        hass.states.async_set("sensor.power", str(number), timestamp=1_790_000_000 + number)
    await flush()
    with patch("custom_components.homeiq.engine.store._store.size", return_value=1_250_000):
        await homeiq.coordinator.async_refresh()
    await hass.async_block_till_done()
    for registered in sorted(
        er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id), key=lambda each: each.entity_id
    ):
        described = {
            "unique_id": registered.unique_id.removeprefix(entry.entry_id),
            "translation_key": registered.translation_key,
            "category": registered.entity_category,
            "device_class": registered.original_device_class,
            "unit": registered.unit_of_measurement,
            "capabilities": dict(registered.capabilities or {}),
            "name": registered.original_name,
        }
        assert described == snapshot(name=f"{registered.entity_id} entry")
    states = {state.entity_id: state for state in hass.states.async_all() if "homeiq" in state.entity_id}
    assert len(states) == 13
    # What a clock decides is checked by itself.
    values = {entity_id: state.state for entity_id, state in states.items()}
    assert float(values.pop("sensor.homeiq_write_latency_p95")) > 0
    assert float(values.pop("sensor.homeiq_last_commit_age")) >= 0
    assert values == snapshot(name="values")
    assert {entity_id: dict(state.attributes) for entity_id, state in states.items()} == snapshot(name="attributes")


async def test_all_entities_are_of_one_service_device(hass: HomeAssistant, entry: HomeIQConfigEntry) -> None:
    (device,) = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
    assert device.identifiers == {(DOMAIN, entry.entry_id)}
    assert device.entry_type is dr.DeviceEntryType.SERVICE
    entities = er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id)
    assert {entity.device_id for entity in entities} == {device.id}
    assert len({entity.unique_id for entity in entities}) == len(entities) == 13


async def test_the_figures_move_with_the_events(
    hass: HomeAssistant, homeiq: HomeIQData, flush: Flush, freezer: FrozenDateTimeFactory
) -> None:
    """At the next reading, a minute after the last, the sensors show what was stored."""
    for number in range(7):
        hass.states.async_set("sensor.noisy", str(number))
    hass.states.async_set("sensor.calm", "1")
    await flush()
    assert _state(hass, "sensor.homeiq_lifetime_events") == "0"
    freezer.tick(UPDATE_INTERVAL + timedelta(seconds=1))
    async_fire_time_changed(hass)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert _state(hass, "sensor.homeiq_lifetime_events") == "8"
    assert _state(hass, "sensor.homeiq_events_per_minute") == "0"
    assert _state(hass, "sensor.homeiq_events_today") == "8"
    assert _state(hass, "sensor.homeiq_events_lost") == "0"
    assert _state(hass, "sensor.homeiq_buffer_depth") == "0"
    noisiest = hass.states.get("sensor.homeiq_noisiest_entity")
    assert noisiest is not None
    assert noisiest.state == "sensor.noisy"
    assert (noisiest.attributes["events"], noisiest.attributes["share"]) == (7, 87.5)
    assert _state(hass, PROBLEM) == "off"
    assert _state(hass, CONNECTED) == "on"
    hass.states.async_set("sensor.calm", "2")
    await flush()
    await homeiq.coordinator.async_refresh()
    assert _state(hass, "sensor.homeiq_events_per_minute") == "1"
    assert _state(hass, "sensor.homeiq_events_today") == "9"


async def test_a_storm_of_events_does_not_make_the_entities_noisy(
    hass: HomeAssistant, homeiq: HomeIQData, flush: Flush, freezer: FrozenDateTimeFactory
) -> None:
    """Whatever happens, each entity is written at most once a minute."""
    written: list[str] = []

    @callback
    def note(event: Event[EventStateChangedData]) -> None:
        written.append(event.data["entity_id"])

    hass.bus.async_listen("state_changed", note)
    for _ in range(4):
        for number in range(500):
            hass.states.async_set("sensor.noisy", str(number))
        await flush()
        freezer.tick(UPDATE_INTERVAL / 2)
        async_fire_time_changed(hass)
        await hass.async_block_till_done(wait_background_tasks=True)
    own = [entity_id for entity_id in written if "homeiq" in entity_id]
    assert own
    assert len(own) <= 13 * 3


async def test_midnight_begins_a_new_day(
    hass: HomeAssistant, homeiq: HomeIQData, flush: Flush, freezer: FrozenDateTimeFactory
) -> None:
    hass.states.async_set("sensor.power", "1")
    await flush()
    await homeiq.coordinator.async_refresh()
    assert _state(hass, "sensor.homeiq_events_today") == "1"
    freezer.tick(timedelta(days=1))
    await homeiq.coordinator.async_refresh()
    assert _state(hass, "sensor.homeiq_events_today") == "0"
    assert _state(hass, "sensor.homeiq_noisiest_entity") == "unknown"


async def test_todays_events_are_counted_on_after_a_reload(
    hass: HomeAssistant, entry: HomeIQConfigEntry, flush: Flush
) -> None:
    hass.states.async_set("sensor.power", "1")
    await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done()
    assert _state(hass, "sensor.homeiq_events_today") == "1"


@pytest.mark.usefixtures("quick_lock")
async def test_a_locked_store_shows_at_once_and_clears_by_itself_without_a_loss(
    hass: HomeAssistant, entry: HomeIQConfigEntry, homeiq: HomeIQData, flush: Flush
) -> None:
    """Connectivity, problem and repair issue go on with the fault and off with it; the events wait."""
    await homeiq.store._drop_writer()
    with _locked(hass):
        hass.states.async_set("light.kitchen", "on")
        await _until(lambda: "store_failing" in _issues(hass))
        await homeiq.coordinator.async_refresh()
        assert _state(hass, CONNECTED) == "off"
        assert _state(hass, PROBLEM) == "on"
        problem = hass.states.get(PROBLEM)
        connected = hass.states.get(CONNECTED)
        assert problem is not None
        assert connected is not None
        assert problem.attributes["problems"] == ["write_errors"]
        assert connected.attributes["reason"] == "locked"
        issue = ir.async_get(hass).async_get_issue(DOMAIN, "store_failing")
        assert issue is not None
        assert issue.translation_placeholders == {"reason": "locked", "path": str(store_path(hass))}
    await _until(lambda: "store_failing" not in _issues(hass))
    await homeiq.coordinator.async_refresh()
    assert (_state(hass, CONNECTED), _state(hass, PROBLEM)) == ("on", "off")
    assert homeiq.pipeline.lost == 0
    assert (await homeiq.store.counts_since(0))["light.kitchen"] == 1


async def _until(answer: Any) -> None:
    """Wait until something is so; the test's time limit ends it otherwise."""
    async with asyncio.timeout(30):
        while not answer():
            await asyncio.sleep(0.02)


@pytest.mark.usefixtures("quick_lock")
async def test_issues_of_a_fault_do_not_outlive_the_entry(
    hass: HomeAssistant, entry: HomeIQConfigEntry, homeiq: HomeIQData, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reload beside the fault begins anew."""
    monkeypatch.setattr("custom_components.homeiq.runtime._UNLOAD_S", 0.0)
    await homeiq.store._drop_writer()
    with _locked(hass):
        hass.states.async_set("light.kitchen", "on")
        await _until(lambda: "store_failing" in _issues(hass))
        await hass.config_entries.async_unload(entry.entry_id)
    assert _issues(hass) == set()


@pytest.mark.usefixtures("quick_lock")
async def test_a_full_buffer_is_told_exactly_and_the_issue_clears_by_itself(
    hass: HomeAssistant, entry: HomeIQConfigEntry, homeiq: HomeIQData
) -> None:
    """The count of lost events is exact, also over a reload; the problem stays news for an hour."""
    homeiq.pipeline.buffer.limit = 100
    await homeiq.store._drop_writer()
    with _locked(hass):
        for number in range(81):
            hass.states.async_set("sensor.power", str(number))
        await homeiq.coordinator.async_refresh()
        full = hass.states.get(PROBLEM)
        assert full is not None
        assert "buffer_nearly_full" in full.attributes["problems"]
        await _until(lambda: "store_failing" in _issues(hass))
        # The first batch is in hand now; the buffer fills behind it.
        for number in range(81, 231):
            hass.states.async_set("sensor.power", str(number))
        lost = homeiq.pipeline.buffer.lost
        assert lost >= 50
        await _until(lambda: "events_lost" in _issues(hass))
        await homeiq.coordinator.async_refresh()
        assert int(_state(hass, "sensor.homeiq_events_lost")) >= lost
        issue = ir.async_get(hass).async_get_issue(DOMAIN, "events_lost")
        assert issue is not None
        assert issue.translation_placeholders is not None
        assert issue.translation_placeholders["limit"] == "100"
    await _until(lambda: not _issues(hass))
    total = homeiq.pipeline.lost
    assert total == homeiq.pipeline.buffer.lost
    await homeiq.pipeline.flush()
    await homeiq.coordinator.async_refresh()
    assert _state(hass, "sensor.homeiq_events_lost") == str(total)
    problem = hass.states.get(PROBLEM)
    assert problem is not None
    assert problem.attributes["problems"] == ["events_lost"]
    stats = homeiq.pipeline.stats()
    # Own entities' events came too: they are the filtered ones, and some may be among the lost.
    assert stats.received == stats.stored + stats.filtered + stats.buffer_depth
    assert (await homeiq.store.counts_since(0))["sensor.power"] == stats.stored >= 231 - total
    await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done()
    assert _state(hass, "sensor.homeiq_events_lost") == str(total)
    assert _state(hass, PROBLEM) == "off"


@pytest.mark.usefixtures("quick_lock")
async def test_the_count_of_lost_events_never_goes_back_while_the_store_cannot_be_read(
    hass: HomeAssistant, entry: HomeIQConfigEntry, homeiq: HomeIQData
) -> None:
    """A total that drops and returns would count twice in statistics."""
    await homeiq.store.count({"lost": 5})
    await homeiq.coordinator.async_refresh()
    assert _state(hass, "sensor.homeiq_events_lost") == "5"
    with patch.object(homeiq.store, "stats", side_effect=StoreError("gone", reason="io_error")):
        await homeiq.coordinator.async_refresh()
    assert _state(hass, "sensor.homeiq_events_lost") == "5"
    assert _state(hass, "sensor.homeiq_lifetime_events") == "unknown"
    assert _state(hass, "sensor.homeiq_store_size") == "unknown"
    assert _state(hass, "sensor.homeiq_oldest_event") == "unknown"
    assert _state(hass, CONNECTED) == "off"


async def test_silence_beyond_the_homes_usual_gap_is_a_problem(
    hass: HomeAssistant, homeiq: HomeIQData, flush: Flush
) -> None:
    """Ten times the usual gap and at least a minute; one more event and it is over."""
    now = 1_000.0
    with patch.object(homeiq.pipeline._clock, "monotonic", side_effect=lambda: now, create=True):
        for number in range(20):
            now += 10.0
            hass.states.async_set("sensor.power", str(number))
            await flush()
        now += 99.0
        await homeiq.coordinator.async_refresh()
        assert _state(hass, PROBLEM) == "off"
        now += 10.0
        await homeiq.coordinator.async_refresh()
        problem = hass.states.get(PROBLEM)
        assert problem is not None
        assert problem.attributes["problems"] == ["no_events"]
        hass.states.async_set("sensor.power", "again")
        await flush()
        await homeiq.coordinator.async_refresh()
        assert _state(hass, PROBLEM) == "off"


async def test_a_damaged_store_is_set_aside_told_and_confirmed(
    hass: HomeAssistant,
    hass_client: ClientSessionGenerator,
    entry: HomeIQConfigEntry,
    flush: Flush,
    socket_enabled: None,
) -> None:
    """Nothing is deleted, the new store works, the issue stays until a person has confirmed it."""
    hass.states.async_set("light.kitchen", "on")
    await hass.config_entries.async_unload(entry.entry_id)
    path = store_path(hass)
    damaged = b"SQLite format 3\x00" + bytes(range(256)) * 64
    path.write_bytes(damaged)

    assert await hass.config_entries.async_setup(entry.entry_id)

    (aside,) = path.parent.glob("homeiq.db.damaged-*")
    assert aside.read_bytes() == damaged
    issue = ir.async_get(hass).async_get_issue(DOMAIN, "store_damaged")
    assert issue is not None
    assert (issue.is_fixable, issue.is_persistent) == (True, True)
    assert issue.translation_placeholders == {"path": str(aside)}
    hass.states.async_set("light.kitchen", "off")
    await flush()
    assert (await entry.runtime_data.store.counts_since(0))["light.kitchen"] == 1

    assert await async_setup_component(hass, "repairs", {})
    await hass.async_block_till_done()
    client = await hass_client()
    asked = await client.post("/api/repairs/issues/fix", json={"handler": DOMAIN, "issue_id": "store_damaged"})
    begun = await asked.json()
    assert begun["step_id"] == "confirm"
    assert begun["description_placeholders"] == {"path": str(aside)}
    done = await (await client.post(f"/api/repairs/issues/fix/{begun['flow_id']}", json={})).json()
    assert done["type"] == "create_entry"
    assert _issues(hass) == set()


async def test_a_store_that_breaks_while_it_runs_is_set_aside_and_told(
    hass: HomeAssistant, entry: HomeIQConfigEntry, homeiq: HomeIQData
) -> None:
    """The events that waited are in the new store."""
    for number in range(200):
        hass.states.async_set(f"sensor.s{number}", "on")
    await homeiq.pipeline.flush()
    await homeiq.store._drop_writer()
    path = store_path(hass)
    path.write_bytes(path.read_bytes()[:4096] + b"\xff" * 8192)
    path.with_name("homeiq.db-wal").unlink(missing_ok=True)
    hass.states.async_set("light.kitchen", "on")
    await homeiq.pipeline.flush()
    # At once: a reload or a restart would forget what nobody was told.
    assert _issues(hass) == {"store_damaged"}
    await hass.config_entries.async_reload(entry.entry_id)
    assert _issues(hass) == {"store_damaged"}
    homeiq = entry.runtime_data
    assert (await homeiq.store.counts_since(0))["light.kitchen"] == 1
    assert len(list(path.parent.glob("homeiq.db.damaged-*[0-9]"))) == 1


async def test_removing_the_entry_removes_the_issue_of_its_damaged_store(
    hass: HomeAssistant, entry: HomeIQConfigEntry
) -> None:
    await hass.config_entries.async_unload(entry.entry_id)
    store_path(hass).write_bytes(b"no database at all, but long enough to be looked at" * 100)
    await hass.config_entries.async_setup(entry.entry_id)
    assert _issues(hass) == {"store_damaged"}
    await hass.config_entries.async_remove(entry.entry_id)
    assert _issues(hass) == set()
    assert list(store_path(hass).parent.iterdir()) == []


async def test_old_events_are_deleted_at_night(
    hass: HomeAssistant, entry: HomeIQConfigEntry, homeiq: HomeIQData, flush: Flush, freezer: FrozenDateTimeFactory
) -> None:
    """By the retention of the options at that moment, whole days of the home's time."""
    await hass.config.async_set_time_zone("America/St_Johns")
    freezer.move_to("2026-06-10T12:00:00+00:00")
    await hass.config_entries.async_reload(entry.entry_id)
    homeiq = entry.runtime_data
    for day in (1, 7, 9):
        hass.states.async_set("sensor.power", str(day), timestamp=1_780_272_000.0 + day * 86_400)
    await homeiq.pipeline.flush()
    hass.config_entries.async_update_entry(entry, options={"retention_days": 5})
    freezer.move_to("2026-06-11T06:37:24+00:00")
    async_fire_time_changed(hass)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert (await homeiq.store.counts_since(0))["sensor.power"] == 2


@pytest.mark.usefixtures("quick_lock")
async def test_a_night_that_fails_is_told_and_tried_again_the_next_night(
    hass: HomeAssistant, entry: HomeIQConfigEntry, caplog: pytest.LogCaptureFixture, freezer: FrozenDateTimeFactory
) -> None:
    await hass.config.async_set_time_zone("UTC")
    await hass.config_entries.async_reload(entry.entry_id)
    homeiq = entry.runtime_data
    with patch.object(homeiq.store, "write", side_effect=StoreError("gone", reason="io_error")):
        freezer.move_to(dt_util.utcnow().replace(hour=4, minute=7, second=24) + timedelta(days=1))
        async_fire_time_changed(hass)
        await hass.async_block_till_done(wait_background_tasks=True)
    assert "The store could not be looked after (night): gone" in caplog.text
    assert homeiq.care.maintenance.report is None
    freezer.tick(timedelta(days=1))
    async_fire_time_changed(hass)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert homeiq.care.maintenance.report is not None


async def test_a_day_that_cannot_be_counted_yet_is_counted_later(
    hass: HomeAssistant, homeiq: HomeIQData, flush: Flush
) -> None:
    hass.states.async_set("sensor.power", "1")
    await flush()
    with patch.object(homeiq.store, "counts_since", side_effect=StoreError("gone", reason="io_error")):
        await homeiq.coordinator.async_recount()
    await homeiq.coordinator.async_refresh()
    assert _state(hass, "sensor.homeiq_events_today") == "1"


async def test_the_home_is_watched_though_every_entity_is_disabled(
    hass: HomeAssistant, entry: HomeIQConfigEntry
) -> None:
    """Midnight and damage must not depend on somebody looking."""
    registry = er.async_get(hass)
    for entity in er.async_entries_for_config_entry(registry, entry.entry_id):
        registry.async_update_entity(entity.entity_id, disabled_by=er.RegistryEntryDisabler.USER)
    await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done()
    assert len(entry.runtime_data.coordinator._listeners) == 1
    assert entry.runtime_data.coordinator._unsub_refresh is not None


async def test_a_removed_store_comes_back_empty(hass: HomeAssistant, entry_of: EntryOf) -> None:
    entry = await entry_of(hass)
    hass.states.async_set("light.kitchen", "on")
    await hass.config_entries.async_remove(entry.entry_id)
    again = await entry_of(hass)
    assert again.state is ConfigEntryState.LOADED
    assert await again.runtime_data.store.counts_since(0) == {}
    remove_files(store_path(hass).with_name("nothing.db"))
