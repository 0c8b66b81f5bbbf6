"""Setting up, reloading, unloading, removing and stopping leave nothing behind and lose nothing."""

import asyncio
from collections.abc import Iterator
import gc
import logging
from pathlib import Path
import sqlite3
import threading
import time
from typing import Any
from unittest.mock import patch
import weakref

from custom_components.homeiq import runtime
from custom_components.homeiq.const import DOMAIN
from custom_components.homeiq.engine.store import SCHEMA_VERSION
from custom_components.homeiq.runtime import HomeIQConfigEntry, HomeIQData
from homeassistant import block_async_io
from homeassistant.config_entries import SOURCE_USER, ConfigEntryState
from homeassistant.core import CoreState, HomeAssistant
from homeassistant.helpers import device_registry as dr, entity_registry as er
import pytest
from pytest_homeassistant_custom_component.common import async_test_home_assistant

from tests.ha.conftest import EntryOf, Flush, Stored, store_path
from tests.ha.connecting import connect
from tests.servers.face_process import FaceProcess


def _open_files(folder: Path) -> list[str]:
    """Return the files below a folder that this process holds open."""
    targets = [_target(link) for link in Path("/proc/self/fd").iterdir()]
    return sorted(target for target in targets if target.startswith(str(folder)))


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:
        return ""


def _listeners(hass: HomeAssistant) -> dict[str, int]:
    """Count all listeners but those of Home Assistant's own files that wait to be saved."""
    return {
        str(name): sum("helpers.storage" not in repr(job.target) for job, _ in jobs)
        for name, jobs in hass.bus._listeners.items()
    }


def _own_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if "aiosqlite" in thread.name or "homeiq" in thread.name]


def _own_tasks() -> list[str]:
    return [task.get_name() for task in asyncio.all_tasks() if "homeiq" in task.get_name()]


def _rows(path: Path, sql: str) -> list[tuple[object, ...]]:
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
        rows = connection.execute(sql).fetchall()
    connection.close()
    return rows


async def test_fifty_reloads_leave_no_listener_thread_task_or_file_behind(
    hass: HomeAssistant, entry: HomeIQConfigEntry, hass_config_dir: str
) -> None:
    """After fifty reloads the home looks as after the first, and the store's lifetime count never went back."""
    await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done()
    handlers = len(logging.getLogger().handlers)
    before = (_listeners(hass), len(_own_threads()), sorted(_own_tasks()), _open_files(Path(hass_config_dir)))
    counts = []
    for number in range(50):
        hass.states.async_set("sensor.reloads", str(number))
        await hass.config_entries.async_reload(entry.entry_id)
        counts.append((await entry.runtime_data.store.stats()).counters["stored"])
    await hass.async_block_till_done()
    after = (_listeners(hass), len(_own_threads()), sorted(_own_tasks()), _open_files(Path(hass_config_dir)))
    assert after == before
    assert len(logging.getLogger().handlers) == handlers
    assert len(entry.update_listeners) == 1
    assert counts == list(range(counts[0], counts[0] + 50))


async def test_unloading_closes_everything_and_keeps_the_store(
    hass: HomeAssistant, entry: HomeIQConfigEntry, homeiq: HomeIQData, hass_config_dir: str
) -> None:
    hass.states.async_set("light.kitchen", "on")
    assert await hass.config_entries.async_unload(entry.entry_id)
    await hass.async_block_till_done()
    assert entry.state is ConfigEntryState.NOT_LOADED
    assert (_own_threads(), _own_tasks(), _open_files(Path(hass_config_dir))) == ([], [], [])
    assert entry.update_listeners == []
    hass.states.async_set("light.kitchen", "off")
    await hass.async_block_till_done()
    assert homeiq.pipeline.depth == 0
    assert _rows(store_path(hass), "SELECT count(*) FROM entities WHERE key = 'light.kitchen'") == [(1,)]


async def test_setting_up_and_unloading_adds_no_listener(hass: HomeAssistant, entry: HomeIQConfigEntry) -> None:
    """A second life of the entry needs the same listeners as none."""
    await hass.config_entries.async_unload(entry.entry_id)
    await hass.async_block_till_done()
    before = _listeners(hass)
    await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    assert _listeners(hass) != before
    await hass.config_entries.async_unload(entry.entry_id)
    await hass.async_block_till_done()
    assert _listeners(hass) == before


async def test_removing_the_entry_deletes_the_store_and_nothing_of_it_stays(
    hass: HomeAssistant, entry: HomeIQConfigEntry, hass_config_dir: str
) -> None:
    """Store, side files, what was set aside, entities, device, listeners: all go."""
    path = store_path(hass)
    path.with_name("homeiq.db.damaged-20260101T000000").write_text("old")
    assert (await hass.config_entries.async_remove(entry.entry_id))["require_restart"] is False
    await hass.async_block_till_done()
    assert list(path.parent.glob("*")) == []
    assert _open_files(Path(hass_config_dir)) == []
    assert (_own_threads(), _own_tasks()) == ([], [])
    assert er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id) == []
    assert dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id) == []


async def test_a_failing_platform_leaves_nothing_behind(hass: HomeAssistant, hass_config_dir: str) -> None:
    with patch.object(
        hass.config_entries, "async_forward_entry_setups", side_effect=RuntimeError("no platforms today")
    ):
        begun = await hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_USER})
        done = await hass.config_entries.flow.async_configure(begun["flow_id"], {})
        await hass.async_block_till_done()
    assert done["result"].state is ConfigEntryState.SETUP_ERROR
    assert (_own_threads(), _own_tasks(), _open_files(Path(hass_config_dir))) == ([], [], [])


async def test_a_platform_that_does_not_unload_keeps_the_store_running(
    hass: HomeAssistant, entry: HomeIQConfigEntry, stored: Stored
) -> None:
    with patch.object(hass.config_entries, "async_unload_platforms", return_value=False):
        assert not await hass.config_entries.async_unload(entry.entry_id)
    hass.states.async_set("light.kitchen", "on")
    assert [event.state for event in await stored("light.kitchen")] == ["on"]


async def test_a_store_of_a_newer_version_is_left_alone_and_the_reason_shown(
    hass: HomeAssistant, entry: HomeIQConfigEntry
) -> None:
    await hass.config_entries.async_unload(entry.entry_id)
    path = store_path(hass)
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    connection.close()
    before = path.read_bytes()
    assert not await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    assert entry.state is ConfigEntryState.SETUP_ERROR
    assert entry.error_reason_translation_key == "store_newer"
    shown = entry.error_reason_translation_placeholders
    assert shown is not None
    assert (shown["found"], shown["known"]) == (str(SCHEMA_VERSION + 1), str(SCHEMA_VERSION))
    assert path.read_bytes() == before
    assert _own_threads() == []


async def test_a_store_that_cannot_be_opened_does_not_stop_the_set_up_and_nothing_is_lost(
    hass: HomeAssistant, entry: HomeIQConfigEntry, stored: Stored
) -> None:
    """Events wait until the folder can be used."""
    await hass.config_entries.async_unload(entry.entry_id)
    folder = store_path(hass).parent
    aside = folder.with_name("aside")
    folder.rename(aside)
    folder.write_text("a file where the folder should be")
    assert await hass.config_entries.async_setup(entry.entry_id)
    assert entry.state is ConfigEntryState.LOADED
    hass.states.async_set("light.kitchen", "on")
    await hass.async_block_till_done()
    folder.unlink()
    aside.rename(folder)
    assert [event.state for event in await stored("light.kitchen")] == ["on"]


async def test_stopping_home_assistant_commits_what_waits_and_the_final_write_itself(
    hass_config_dir: str, entry_of: EntryOf
) -> None:
    """The last event of a run is its final write; the store is closed, its WAL gone."""
    async with async_test_home_assistant(config_dir=hass_config_dir) as hass:
        entry = await entry_of(hass)
        hass.states.async_set("light.kitchen", "on")
        await hass.async_stop(force=True)
        path = store_path(hass)
        assert entry.runtime_data.pipeline.lost == 0
        assert [file.name for file in path.parent.iterdir()] == ["homeiq.db"]
        assert _rows(
            path, "SELECT t.key FROM events AS e JOIN texts AS t ON t.id = e.name WHERE e.kind = 5 ORDER BY e.id"
        ) == [("homeassistant_stop",), ("homeassistant_final_write",)]
        assert _rows(path, "SELECT count(*) FROM entities WHERE key = 'light.kitchen'") == [(1,)]
        assert (_own_threads(), _open_files(Path(hass_config_dir))) == ([], [])


async def test_stopping_beside_a_server_that_hangs_is_quick(
    hass_config_dir: str,
    entry_of: EntryOf,
    connection: dict[str, object],
    influx: FaceProcess,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What the replica has not delivered stays in the store; its cursor tells where to go on."""
    async with async_test_home_assistant(config_dir=hass_config_dir) as hass:
        entry = await entry_of(hass)
        await connect(hass, entry, connection)
        influx.freeze()
        try:
            hass.states.async_set("light.kitchen", "on")
            await entry.runtime_data.pipeline.flush()
            await asyncio.sleep(0.2)
            began = time.monotonic()
            await hass.async_stop(force=True)
            took = time.monotonic() - began
        finally:
            influx.thaw()
        assert took < 5
        assert _rows(store_path(hass), "SELECT count(*) FROM entities WHERE key = 'light.kitchen'") == [(1,)]
        assert "still running" not in caplog.text


async def test_options_that_change_during_set_up_are_applied(
    hass: HomeAssistant, entry: HomeIQConfigEntry, stored: Stored
) -> None:
    await hass.config_entries.async_unload(entry.entry_id)
    forward = hass.config_entries.async_forward_entry_setups

    async def change_and_forward(*args: Any) -> None:
        hass.config_entries.async_update_entry(entry, options={"exclude": {"globs": ["sensor.noise"]}})
        await forward(*args)

    with patch.object(hass.config_entries, "async_forward_entry_setups", change_and_forward):
        await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    hass.states.async_set("sensor.noise", "1")
    assert await stored("sensor.noise") == []


async def test_a_home_of_three_thousand_registered_entities_starts_without_loss(
    hass_config_dir: str, entry_of: EntryOf
) -> None:
    """Each first state has its integration; set-up does not grow with the home."""
    async with async_test_home_assistant(config_dir=hass_config_dir, initial_state=CoreState.starting) as hass:
        registry = er.async_get(hass)
        names = [registry.async_get_or_create("sensor", "hue", str(number)).entity_id for number in range(3_000)]
        entry = await entry_of(hass)
        for name in names:
            hass.states.async_set(name, "1")
        hass.set_state(CoreState.running)
        hass.bus.async_fire("homeassistant_started")
        await hass.async_block_till_done()
        await entry.runtime_data.pipeline.flush()
        counts = await entry.runtime_data.store.counts_since(0)
        assert {name: counts.get(name) for name in names} == dict.fromkeys(names, 1)
        assert entry.runtime_data.pipeline.lost == 0
        await hass.async_stop(force=True)
        assert _rows(store_path(hass), "SELECT count(*) FROM facts WHERE key LIKE '%\"hue\"%'") == [(3_000,)]


async def test_a_start_is_seen_and_what_happens_before_it_is_the_systems(
    hass_config_dir: str, entry_of: EntryOf
) -> None:
    """Entities that appear while Home Assistant starts did not act; afterwards devices do."""
    async with async_test_home_assistant(config_dir=hass_config_dir, initial_state=CoreState.not_running) as hass:
        hass.set_state(CoreState.starting)
        entry = await entry_of(hass)
        hass.states.async_set("binary_sensor.door", "off")
        hass.states.async_set("binary_sensor.door", "on")
        hass.set_state(CoreState.running)
        hass.bus.async_fire("homeassistant_started")
        hass.states.async_set("binary_sensor.door", "off")
        await hass.async_block_till_done()
        await entry.runtime_data.pipeline.flush()
        await hass.async_stop(force=True)
        rows = _rows(
            store_path(hass),
            "SELECT e.origin FROM events AS e JOIN entities AS n ON n.id = e.entity"
            " WHERE n.key = 'binary_sensor.door' ORDER BY e.id",
        )
        assert rows == [(5,), (5,), (0,)]


async def test_an_unclean_end_loses_nothing_that_was_committed(
    hass: HomeAssistant, entry: HomeIQConfigEntry, flush: Flush, tmp_path: Path
) -> None:
    """A copy of the open files is what a killed process leaves: it opens, checks and holds every committed event."""
    for number in range(500):
        hass.states.async_set("sensor.power", str(number))
    await flush()
    left = tmp_path / "left"
    left.mkdir()
    for file in store_path(hass).parent.iterdir():
        (left / file.name).write_bytes(file.read_bytes())
    connection = sqlite3.connect(left / "homeiq.db")
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    count = "SELECT count(*) FROM events AS e JOIN entities AS n ON n.id = e.entity WHERE n.key = 'sensor.power'"
    assert connection.execute(count).fetchall() == [(500,)]
    connection.close()


async def test_unloading_beside_a_locked_store_counts_what_could_not_be_kept(
    hass: HomeAssistant, entry: HomeIQConfigEntry, homeiq: HomeIQData
) -> None:
    hass.states.async_set("light.kitchen", "on")
    await hass.async_block_till_done()
    blocker = sqlite3.connect(store_path(hass), isolation_level=None, timeout=0)
    with (
        patch.object(runtime, "_UNLOAD_S", 0.0),
        patch("custom_components.homeiq.engine.store._connection.BUSY_TIMEOUT_MS", 50),
    ):
        await homeiq.store._drop_writer()
        blocker.execute("BEGIN EXCLUSIVE")
        assert await hass.config_entries.async_unload(entry.entry_id)
    assert homeiq.pipeline.lost >= 1
    assert homeiq.pipeline.depth == 0
    blocker.execute("ROLLBACK")
    blocker.close()


@pytest.mark.usefixtures("blocking_calls")
async def test_no_blocking_call_is_made_on_the_event_loop(
    hass: HomeAssistant,
    entry: HomeIQConfigEntry,
    flush: Flush,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Home Assistant's own detector stays silent over set-up, commits, services, a purge, reload, unload, removal."""
    hass.states.async_set("light.kitchen", "on")
    await flush()
    for service, data in (
        ("query_events", {}),
        ("stats", {}),
        ("flush", {}),
        ("purge_entity", {"entity_id": "light.kitchen"}),
        ("purge", {"keep_days": 0}),
        ("validate_automation", {"text": "alias: x\ntriggers: []\nactions: []"}),
        ("generate_suggestions", {}),
    ):
        await hass.services.async_call(DOMAIN, service, data, blocking=True, return_response=True)
    await hass.config_entries.async_reload(entry.entry_id)
    await hass.config_entries.async_remove(entry.entry_id)
    await hass.async_block_till_done()
    assert "blocking call" not in caplog.text
    own = [record for record in caplog.records if record.name.startswith("custom_components.homeiq")]
    assert [record.getMessage() for record in own if record.levelno >= logging.WARNING] == []
    # The detector works: this very line is one.
    with pytest.raises(RuntimeError, match="blocking call"):
        time.sleep(0.001)  # noqa: ASYNC251


@pytest.fixture
def blocking_calls() -> Iterator[None]:
    """Switch Home Assistant's detector of blocking calls on."""
    block_async_io.enable()
    yield
    for call in block_async_io._BLOCKED_CALLS.calls:
        setattr(call.object, call.function, call.original_func)
    block_async_io._BLOCKED_CALLS.calls.clear()


async def test_nothing_is_kept_alive_by_a_former_entry(hass: HomeAssistant, entry: HomeIQConfigEntry) -> None:
    """The pipeline and the store of an unloaded entry can be collected."""
    former: list[weakref.ref[Any]] = [
        weakref.ref(entry.runtime_data.pipeline),
        weakref.ref(entry.runtime_data.coordinator),
    ]
    await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done()
    gc.collect()
    assert [ref() for ref in former] == [None, None]
