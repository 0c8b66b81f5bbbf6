"""A backup made by Home Assistant itself holds a store that opens and is as it was, whole or as its essentials."""

import asyncio
from contextlib import closing, suppress
from datetime import timedelta
import io
from pathlib import Path
import shutil
import sqlite3
import tarfile
from typing import Any
from unittest.mock import patch

from custom_components.homeiq import backup as platform
from custom_components.homeiq.const import DOMAIN
from custom_components.homeiq.engine.model import RollUpQuery, Span, StoreError
from custom_components.homeiq.engine.store import Store, content_hash
from custom_components.homeiq.places import Places
from custom_components.homeiq.runtime import HomeIQConfigEntry, HomeIQData
from freezegun.api import FrozenDateTimeFactory
from homeassistant.components.backup import DATA_MANAGER, BackupManager
from homeassistant.components.backup.const import DOMAIN as BACKUP
from homeassistant.components.backup.manager import BackupManagerError
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import async_fire_time_changed, async_test_home_assistant

from tests.ha.conftest import EntryOf, Flush

BEGIN = 1_790_000_000.0
HOUR_US = 3_600_000_000


@pytest.fixture
async def manager(hass: HomeAssistant, entry: HomeIQConfigEntry) -> BackupManager:
    """Return Home Assistant's backup manager, which has found the platform of its own accord."""
    assert await async_setup_component(hass, BACKUP, {})
    await hass.async_block_till_done()
    found = hass.data[DATA_MANAGER]
    assert DOMAIN in found.platforms
    return found


async def _back_up(manager: BackupManager) -> None:
    await manager.async_create_backup(
        agent_ids=["backup.local"],
        include_addons=None,
        include_all_addons=False,
        include_database=True,
        include_folders=None,
        include_homeassistant=True,
        name="test",
        password=None,
    )


def _unpack(hass_config_dir: str, target: Path) -> Path:
    """Unpack the only backup as Home Assistant's restore does, and return the configuration folder in it."""
    (made,) = (Path(hass_config_dir) / "backups").glob("*.tar")
    with tarfile.open(made) as outer:
        (name,) = (name for name in outer.getnames() if name.endswith("homeassistant.tar.gz"))
        inner = outer.extractfile(name)
        assert inner is not None
        with tarfile.open(fileobj=io.BytesIO(inner.read()), mode="r:gz") as archive:
            archive.extractall(target, filter="data")
    return target / "data"


async def _hash_of(store: Store) -> tuple[int, str]:
    async with store.reader() as reader:
        return await content_hash(reader)


async def _use_content(hass: HomeAssistant, entry: HomeIQConfigEntry, content: str) -> None:
    """Choose what goes into backups as a person does, and set the entry up anew."""
    begun = await hass.config_entries.options.async_init(entry.entry_id)
    await hass.config_entries.options.async_configure(
        begun["flow_id"], {"retention_days": 3_650, "backup_content": content}
    )
    await hass.config_entries.async_reload(entry.entry_id)
    assert entry.state is ConfigEntryState.LOADED


async def _fill(hass: HomeAssistant, entry: HomeIQConfigEntry) -> None:
    """Store three hours of two entities, and roll them up."""
    for number in range(180):
        hass.states.async_set("sensor.power", str(number % 7), timestamp=BEGIN + number * 60)
        hass.states.async_set("light.kitchen", "on" if number % 2 else "off", timestamp=BEGIN + number * 60)
    await hass.async_block_till_done()
    await entry.runtime_data.pipeline.flush()
    await entry.runtime_data.care.maintenance.async_roll_up()


async def _rollups(data: HomeIQData) -> Any:
    begin_us = round(BEGIN * 1_000_000)
    query = RollUpQuery(
        entity_ids=("sensor.power", "light.kitchen"),
        start_us=begin_us // HOUR_US * HOUR_US,
        end_us=begin_us + 3 * HOUR_US,
        span=Span.HOUR,
    )
    return await data.care.maintenance.rollups.query(query)


def _issues(hass: HomeAssistant) -> set[str]:
    return {issue_id for domain, issue_id in ir.async_get(hass).issues if domain == DOMAIN}


async def test_a_backup_holds_a_store_that_opens_and_equals_the_store_at_that_moment(
    hass: HomeAssistant, entry: HomeIQConfigEntry, manager: BackupManager, hass_config_dir: str, tmp_path: Path
) -> None:
    """Though events are committed all the time while it is copied, and what waited in memory is in it too."""
    await _fill(hass, entry)
    data = entry.runtime_data
    hass.states.async_set("sensor.waits", "1")
    at_least = (await data.store.stats()).events + 1
    writing = True

    async def write() -> None:
        number = 0
        while writing:
            number += 1
            hass.states.async_set("sensor.busy", str(number))
            with suppress(StoreError):
                await data.pipeline.flush()
            await asyncio.sleep(0.001)

    writer = hass.async_create_background_task(write(), "writer")
    await _back_up(manager)
    writing = False
    await writer
    assert not data.care.guard.held
    assert _issues(hass) == set()

    config = await hass.async_add_executor_job(_unpack, hass_config_dir, tmp_path / "unpacked")
    copied = Store(Places(config=config).inside, data.store.clock)
    count, digest = await _hash_of(copied)
    assert count >= at_least
    async with copied.reader() as reader:
        assert [tuple(row) for row in await reader.execute_fetchall("PRAGMA integrity_check")] == [("ok",)]
        (last,) = await reader.execute_fetchall("SELECT MAX(at) FROM events")
        # The same events as in the store up to then, none more and none less.
        async with data.store.reader() as ours:
            (same,) = await ours.execute_fetchall("SELECT COUNT(*), MAX(id) FROM events WHERE at <= ?", (last[0],))
            (theirs,) = await reader.execute_fetchall("SELECT COUNT(*), MAX(id) FROM events")
            assert tuple(same) == tuple(theirs)
            assert await content_hash(ours, end_us=(await copied.stats()).newest_us + 1) == (count, digest)  # type: ignore[operator]
    assert copied.set_aside == ()
    await copied.close()


async def test_the_essentials_in_a_backup_restore_into_a_fresh_home(
    hass: HomeAssistant,
    entry: HomeIQConfigEntry,
    entry_of: EntryOf,
    manager: BackupManager,
    hass_config_dir: str,
    tmp_path: Path,
) -> None:
    """The single events are not in the backup; the roll-ups are, and a home that has nothing else goes on with them."""
    await _fill(hass, entry)
    await _use_content(hass, entry, "essentials")
    expected = await _rollups(entry.runtime_data)
    assert len(expected) == 8
    await _back_up(manager)
    assert _issues(hass) == set()

    config = await hass.async_add_executor_job(_unpack, hass_config_dir, tmp_path / "unpacked")
    assert sorted(file.name for file in config.rglob("homeiq*")) == ["homeiq", "homeiq.essentials.db"]
    assert b"sensor.power" in (config / "homeiq" / "homeiq.essentials.db").read_bytes()

    await hass.config_entries.async_unload(entry.entry_id)
    fresh_config = tmp_path / "fresh"
    shutil.copytree(config / "homeiq", fresh_config / "homeiq")
    async with async_test_home_assistant(config_dir=str(fresh_config)) as fresh:
        again = await entry_of(fresh)
        assert await _rollups(again.runtime_data) == expected
        assert (await again.runtime_data.store.stats()).events == 0
        fresh.states.async_set("light.kitchen", "on")
        await again.runtime_data.pipeline.flush()
        assert (await again.runtime_data.store.counts_since(0))["light.kitchen"] == 1
        assert again.runtime_data.store.path == Places(config=fresh_config).inside
        await fresh.config_entries.async_unload(again.entry_id)
        await fresh.async_stop(force=True)


async def test_a_change_of_the_option_moves_the_store_at_the_next_set_up_and_loses_nothing(
    hass: HomeAssistant, entry: HomeIQConfigEntry, hass_config_dir: str
) -> None:
    places = Places(config=Path(hass_config_dir))
    await _fill(hass, entry)
    before = await _hash_of(entry.runtime_data.store)
    assert entry.runtime_data.store.path == places.inside
    for content, here, there in (
        ("essentials", places.outside, places.inside),
        ("all", places.inside, places.outside),
        ("auto", places.inside, places.outside),
    ):
        await _use_content(hass, entry, content)
        assert entry.runtime_data.store.path == here
        assert not there.exists()
        assert await _hash_of(entry.runtime_data.store) == before
    assert not places.essentials.exists()
    assert _issues(hass) == set()


async def test_a_large_store_stays_out_of_backups_unless_the_user_wants_it(
    hass: HomeAssistant, entry: HomeIQConfigEntry, hass_config_dir: str
) -> None:
    places = Places(config=Path(hass_config_dir))
    await _fill(hass, entry)
    with patch("custom_components.homeiq.places.WHOLE_UP_TO_BYTES", 10_000):
        await hass.config_entries.async_reload(entry.entry_id)
        assert entry.runtime_data.store.path == places.outside
        await _use_content(hass, entry, "all")
        assert entry.runtime_data.store.path == places.inside


async def test_a_store_that_cannot_be_moved_is_used_where_it_is_and_that_is_told(
    hass: HomeAssistant, entry: HomeIQConfigEntry, hass_config_dir: str
) -> None:
    places = Places(config=Path(hass_config_dir))
    places.outside.parent.write_text("a file where the folder should be")
    await _use_content(hass, entry, "essentials")
    assert entry.runtime_data.store.path == places.inside
    assert entry.runtime_data.care.content == "all"
    issue = ir.async_get(hass).async_get_issue(DOMAIN, "backup_content")
    assert issue is not None
    assert (issue.translation_placeholders or {})["path"] == str(places.inside)
    places.outside.parent.unlink()
    await hass.config_entries.async_reload(entry.entry_id)
    assert entry.runtime_data.store.path == places.outside
    assert _issues(hass) == set()


async def test_of_two_stores_the_one_at_the_wanted_place_is_used_and_the_other_left_alone(
    hass: HomeAssistant, entry: HomeIQConfigEntry, hass_config_dir: str, caplog: pytest.LogCaptureFixture
) -> None:
    places = Places(config=Path(hass_config_dir))
    places.outside.parent.mkdir()
    places.outside.write_bytes(b"somebody's copy")
    await hass.config_entries.async_reload(entry.entry_id)
    assert entry.runtime_data.store.path == places.inside
    assert places.outside.read_bytes() == b"somebody's copy"
    assert "There are two stores" in caplog.text


async def test_a_backup_that_fails_half_way_lets_go(
    hass: HomeAssistant, entry: HomeIQConfigEntry, manager: BackupManager
) -> None:
    """And the next one works."""
    await _fill(hass, entry)
    data = entry.runtime_data
    held: list[bool] = []

    def fail(*_: object, **__: object) -> None:
        held.append(data.care.guard.held)
        raise OSError("the disk is full")

    with (
        patch("homeassistant.components.backup.manager.atomic_contents_add", side_effect=fail),
        pytest.raises(BackupManagerError),
    ):
        await _back_up(manager)
    assert held == [True]
    assert not data.care.guard.held
    assert await data.store.write(_checkpoints)
    await _back_up(manager)
    assert not data.care.guard.held


async def _checkpoints(writer: Any) -> bool:
    (row,) = await writer.execute_fetchall("PRAGMA wal_checkpoint(TRUNCATE)")
    return not row[0]


async def test_another_platforms_failure_lets_go_too(
    hass: HomeAssistant, entry: HomeIQConfigEntry, manager: BackupManager
) -> None:
    """Home Assistant then makes no backup, and still calls everybody afterwards."""

    class _Failing:
        async def async_pre_backup(self, _: HomeAssistant) -> None:
            raise RuntimeError("not now")

        async def async_post_backup(self, _: HomeAssistant) -> None:
            return

    manager.platforms["failing"] = _Failing()
    with pytest.raises(BackupManagerError):
        await _back_up(manager)
    assert not entry.runtime_data.care.guard.held


async def test_no_trouble_of_the_store_stops_the_homes_backup(
    hass: HomeAssistant, entry: HomeIQConfigEntry, manager: BackupManager, caplog: pytest.LogCaptureFixture
) -> None:
    """It is told, and the message goes away with the next backup that works."""
    store = entry.runtime_data.store
    with patch.object(store, "write", side_effect=StoreError("gone", reason="io_error")):
        await _back_up(manager)
    issue = ir.async_get(hass).async_get_issue(DOMAIN, "backup_stale")
    assert issue is not None
    assert issue.translation_placeholders == {"reason": "io_error", "content": "all"}
    assert "Not ready for the backup: keeping the file still (io_error)" in caplog.text
    await _back_up(manager)
    assert _issues(hass) == set()


@pytest.mark.parametrize("failure", [RuntimeError("a bug"), TimeoutError])
async def test_not_even_a_bug_stops_the_homes_backup(
    hass: HomeAssistant, entry: HomeIQConfigEntry, failure: Any, hass_config_dir: str
) -> None:
    await _use_content(hass, entry, "essentials")
    with patch("custom_components.homeiq.engine.store.Essentials.update", side_effect=failure):
        await platform.async_pre_backup(hass)
    assert "backup_stale" in _issues(hass)
    await platform.async_post_backup(hass)


async def test_a_store_that_is_busy_for_long_delays_the_backup_by_ten_seconds_at_most(
    hass: HomeAssistant, entry: HomeIQConfigEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("custom_components.homeiq.backup_guard._PREPARE_S", 0.5)
    monkeypatch.setattr("custom_components.homeiq.backup_guard._FLUSH_S", 0.1)
    data = entry.runtime_data
    go_on = asyncio.Event()

    async def long(writer: object) -> None:
        await go_on.wait()

    busy = hass.async_create_task(data.store.write(long))
    await asyncio.sleep(0)
    hass.states.async_set("sensor.waits", "1")
    begun = hass.loop.time()
    await platform.async_pre_backup(hass)
    assert hass.loop.time() - begun < 2
    assert "backup_stale" in _issues(hass)
    go_on.set()
    await busy
    await platform.async_post_backup(hass)
    assert not data.care.guard.held
    assert await data.store.write(_checkpoints)


async def test_a_backup_whose_end_nobody_tells_lets_go_after_two_hours(
    hass: HomeAssistant, entry: HomeIQConfigEntry, freezer: FrozenDateTimeFactory, caplog: pytest.LogCaptureFixture
) -> None:
    """Supervisor may die; a second beginning begins the two hours anew."""
    guard = entry.runtime_data.care.guard
    await platform.async_pre_backup(hass)
    freezer.tick(timedelta(hours=1))
    await platform.async_pre_backup(hass)
    freezer.tick(timedelta(minutes=119))
    async_fire_time_changed(hass)
    await hass.async_block_till_done()
    held = [guard.held]
    freezer.tick(timedelta(minutes=2))
    async_fire_time_changed(hass)
    await hass.async_block_till_done()
    assert [*held, guard.held] == [True, False]
    assert "No word of the backup's end" in caplog.text
    assert await entry.runtime_data.store.write(_checkpoints)


async def test_without_a_loaded_entry_there_is_nothing_to_do(hass: HomeAssistant, entry: HomeIQConfigEntry) -> None:
    await hass.config_entries.async_unload(entry.entry_id)
    await platform.async_pre_backup(hass)
    await platform.async_post_backup(hass)


async def test_an_end_without_a_beginning_does_nothing(hass: HomeAssistant, entry: HomeIQConfigEntry) -> None:
    await platform.async_post_backup(hass)
    assert not entry.runtime_data.care.guard.held


async def test_unloading_in_the_middle_of_a_backup_lets_go(hass: HomeAssistant, entry: HomeIQConfigEntry) -> None:
    guard = entry.runtime_data.care.guard
    await platform.async_pre_backup(hass)
    assert await hass.config_entries.async_unload(entry.entry_id)
    assert not guard.held
    await platform.async_post_backup(hass)


async def test_maintenance_rests_while_a_backup_runs(
    hass: HomeAssistant, entry: HomeIQConfigEntry, flush: Flush, freezer: FrozenDateTimeFactory
) -> None:
    await _fill(hass, entry)
    maintenance = entry.runtime_data.care.maintenance
    await platform.async_pre_backup(hass)
    with patch.object(maintenance.rollups, "update", wraps=maintenance.rollups.update) as update:
        freezer.tick(timedelta(minutes=11))
        async_fire_time_changed(hass)
        await hass.async_block_till_done()
        assert update.call_count == 0
        await platform.async_post_backup(hass)
        await hass.async_block_till_done(wait_background_tasks=True)
        assert update.call_count > 0


async def test_a_purged_entity_is_gone_from_the_extract_at_once(
    hass: HomeAssistant, entry: HomeIQConfigEntry, hass_config_dir: str
) -> None:
    await _fill(hass, entry)
    await _use_content(hass, entry, "essentials")
    await platform.async_pre_backup(hass)
    await platform.async_post_backup(hass)
    extract = Places(config=Path(hass_config_dir)).essentials
    assert b"light.kitchen" in extract.read_bytes()
    await hass.services.async_call(DOMAIN, "purge_entity", {"entity_id": "light.kitchen"}, blocking=True)
    assert b"light.kitchen" not in extract.read_bytes()
    with closing(sqlite3.connect(extract)) as connection:
        assert connection.execute("SELECT COUNT(*) FROM rollups").fetchone() > (0,)


async def test_removing_the_entry_deletes_the_store_at_both_places_and_no_export(
    hass: HomeAssistant, entry: HomeIQConfigEntry, hass_config_dir: str
) -> None:
    await _use_content(hass, entry, "essentials")
    await platform.async_pre_backup(hass)
    await platform.async_post_backup(hass)
    places = Places(config=Path(hass_config_dir))
    export = places.folder / "exports" / "mine.jsonl.zst"
    export.parent.mkdir()
    export.write_text("kept")
    await hass.config_entries.async_remove(entry.entry_id)
    assert not places.outside.parent.exists()
    assert [file for file in places.folder.rglob("*") if file.is_file()] == [export]
