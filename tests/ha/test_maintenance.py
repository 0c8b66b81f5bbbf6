"""In the background the store is rolled up, kept small and checked; what a person should know becomes an issue."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
import time
from types import MappingProxyType
from typing import Any
from unittest.mock import patch

from custom_components.homeiq.const import DOMAIN
from custom_components.homeiq.engine.model import StoreError
from custom_components.homeiq.engine.store import Follower, RetentionReport, Store
from custom_components.homeiq.places import Places
from custom_components.homeiq.replica_settings import replica_name
from custom_components.homeiq.runtime import HomeIQConfigEntry, HomeIQData
from custom_components.homeiq.transfers import TransferKind
from freezegun.api import FrozenDateTimeFactory
from homeassistant.config_entries import ConfigEntryState, ConfigSubentry
from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir
import pytest
from pytest_homeassistant_custom_component.common import async_fire_time_changed

from tests.ha.conftest import Flush, store_path

DAY_S = 86_400.0


def _issues(hass: HomeAssistant) -> set[str]:
    return {issue_id for domain, issue_id in ir.async_get(hass).issues if domain == DOMAIN}


def _shown(hass: HomeAssistant, issue: str) -> Mapping[str, str]:
    found = ir.async_get(hass).async_get_issue(DOMAIN, issue)
    assert found is not None
    return found.translation_placeholders or {}


async def _pass(hass: HomeAssistant, freezer: FrozenDateTimeFactory, time: timedelta) -> None:
    freezer.tick(time)
    async_fire_time_changed(hass)
    await hass.async_block_till_done(wait_background_tasks=True)


async def _rollups(store: Store) -> int:
    async with store.reader() as reader:
        (row,) = await reader.execute_fetchall("SELECT COUNT(*) FROM rollups")
    return int(row[0])


async def test_events_are_rolled_up_a_minute_after_the_start_and_every_ten_minutes(
    hass: HomeAssistant, homeiq: HomeIQData, flush: Flush, freezer: FrozenDateTimeFactory
) -> None:
    hass.states.async_set("sensor.power", "1", timestamp=1_790_000_000.0)
    await flush()
    assert await _rollups(homeiq.store) == 0
    await _pass(hass, freezer, timedelta(seconds=61))
    first = await _rollups(homeiq.store)
    assert first > 0
    hass.states.async_set("sensor.power", "2", timestamp=1_790_010_000.0)
    await flush()
    await _pass(hass, freezer, timedelta(minutes=10))
    assert await _rollups(homeiq.store) > first


async def _night(hass: HomeAssistant, entry: HomeIQConfigEntry, freezer: FrozenDateTimeFactory) -> HomeIQData:
    """Return what runs in a home of UTC, at the evening before."""
    await hass.config.async_set_time_zone("UTC")
    freezer.move_to("2026-11-24T20:00:00+00:00")
    await hass.config_entries.async_reload(entry.entry_id)
    return entry.runtime_data


async def test_at_night_the_whole_file_is_checked_once_a_week(
    hass: HomeAssistant, entry: HomeIQConfigEntry, freezer: FrozenDateTimeFactory
) -> None:
    """A fault is told and the message goes away with the next check that finds none."""
    data = await _night(hass, entry, freezer)
    with patch("custom_components.homeiq.maintenance.full_check", return_value="row 7 missing from index") as check:
        for _ in range(7):
            await _pass(hass, freezer, timedelta(days=1))
        assert check.call_count == 1
        assert _shown(hass, "check_failed") == {"error": "row 7 missing from index", "path": str(data.store.path)}
    await _pass(hass, freezer, timedelta(days=1))
    assert _issues(hass) == set()


@pytest.fixture
async def lagging(hass: HomeAssistant, entry: HomeIQConfigEntry, flush: Flush) -> str:
    """Return the name of a follower that has taken none of 3,000 events of 200 days ago."""
    subentry = ConfigSubentry(
        data=MappingProxyType({"url": "http://127.0.0.1:9", "org": "o", "bucket": "b", "token": "t", "paused": True}),
        subentry_type="influxdb",
        title="Attic server",
        unique_id=None,
    )
    hass.config_entries.async_add_subentry(entry, subentry)
    await hass.async_block_till_done()
    begin = 1_763_000_000.0
    for number in range(3_000):
        hass.states.async_set("sensor.old", f"{number}" * 20, {"x": "y" * number}, timestamp=begin + number)
    await flush()
    name = replica_name(subentry.subentry_id)
    await Follower(entry.runtime_data.store, name).rewind(0)
    return name


async def test_what_a_replica_lacks_is_kept_and_its_loss_at_the_cap_is_counted_and_told(
    hass: HomeAssistant, homeiq: HomeIQData, entry: HomeIQConfigEntry, lagging: str
) -> None:
    """Before it happens a warning, then the count, which stays until a person has read it."""
    maintenance = homeiq.care.maintenance
    report = await maintenance.async_retain()
    assert (report.purged, report.held_back_by) == (0, (lagging,))
    assert _issues(hass) & {"size_cap_near", "unreplicated_lost"} == set()

    with patch("custom_components.homeiq.care.retention_policy") as policy:
        policy.return_value = _policy(round(report.used_bytes / 0.95))
        assert (await maintenance.async_retain()).near_cap
        assert _shown(hass, "size_cap_near")["replicas"] == "Attic server"
        policy.return_value = _policy(report.used_bytes // 2)
        lost = (await maintenance.async_retain()).unreplicated[lagging]
    assert lost > 0
    assert _shown(hass, "unreplicated_lost") == {"counted": f"Attic server: {lost}"}
    await hass.config_entries.async_unload(entry.entry_id)
    assert _issues(hass) == {"unreplicated_lost"}


def _policy(max_bytes: int) -> Any:
    from custom_components.homeiq.engine.store import RetentionPolicy  # noqa: PLC0415

    return RetentionPolicy(raw_days=90, hour_days=730, max_bytes=max_bytes)


async def test_between_two_runs_of_a_replica_nothing_is_deleted_that_it_lacks(
    hass: HomeAssistant, homeiq: HomeIQData, lagging: str
) -> None:
    with patch.dict(homeiq.replicas._running, clear=True):
        report = await homeiq.care.maintenance.async_retain()
    assert (report.purged, report.held_back_by) == (0, (lagging,))


async def test_over_the_cap_old_events_go_within_ten_minutes(
    hass: HomeAssistant, homeiq: HomeIQData, flush: Flush, freezer: FrozenDateTimeFactory
) -> None:
    for number in range(6_000):
        hass.states.async_set("sensor.old", f"{number}" * 20, timestamp=1_780_000_000.0 + number)
    await flush()
    with patch("custom_components.homeiq.care.retention_policy", return_value=_policy(100_000)):
        await _pass(hass, freezer, timedelta(minutes=11))
    report = homeiq.care.maintenance.report
    assert report is not None
    assert report.purged > 0


async def test_a_cap_that_cannot_be_kept_is_told(hass: HomeAssistant, homeiq: HomeIQData) -> None:
    report = RetentionReport(
        purged=0, unreplicated={}, size_bytes=60_000_000, used_bytes=60_000_000,
        near_cap=True, over_cap=True, held_back_by=(),
    )  # fmt: skip
    with patch("custom_components.homeiq.maintenance.Retention.run", return_value=report):
        await homeiq.care.maintenance.async_retain()
    assert _shown(hass, "size_cap_reached")["size"] == "60 MB"
    assert "size_cap_near" not in _issues(hass)


async def test_a_store_in_use_by_another_homeiq_waits_until_that_lets_go(
    hass: HomeAssistant, entry: HomeIQConfigEntry, hass_config_dir: str
) -> None:
    clock = entry.runtime_data.store.clock
    await hass.config_entries.async_unload(entry.entry_id)
    other = Store(Places(config=Path(hass_config_dir)).inside, clock)
    await other.open()
    assert not await hass.config_entries.async_setup(entry.entry_id)
    states = [entry.state]
    assert entry.error_reason_translation_key == "store_in_use"
    await other.close()
    await hass.config_entries.async_reload(entry.entry_id)
    states.append(entry.state)
    assert states == [ConfigEntryState.SETUP_RETRY, ConfigEntryState.LOADED]


async def test_a_damaged_store_is_salvaged_in_the_background_and_the_counts_are_exact(
    hass: HomeAssistant, entry: HomeIQConfigEntry, flush: Flush, freezer: FrozenDateTimeFactory
) -> None:
    """Once: another start does not do it again."""
    for number in range(2_000):
        hass.states.async_set("sensor.s", str(number), timestamp=1_790_000_000.0 + number)
    await flush()
    held = (await entry.runtime_data.store.stats()).events
    await hass.config_entries.async_unload(entry.entry_id)
    path = store_path(hass)
    content = bytearray(path.read_bytes())
    # Every third page: events, indexes and all.
    for page in range(20, len(content) // 4096, 3):
        content[4096 * page : 4096 * (page + 1)] = b"\xff" * 4096
    path.write_bytes(bytes(content))
    await hass.config_entries.async_setup(entry.entry_id)
    assert _issues(hass) == {"store_damaged"}
    await _pass(hass, freezer, timedelta(seconds=61))
    shown = _shown(hass, "store_salvaged")
    assert _issues(hass) == {"store_salvaged"}
    assert int(shown["saved"]) + int(shown["lost"]) == held
    assert 0 < int(shown["saved"]) < held
    assert (await entry.runtime_data.store.counts_since(0))["sensor.s"] == int(shown["saved"]) - (held - 2_000)
    assert [file.name for file in path.parent.glob("*.salvaged*")] == []
    assert [str(file) for file in path.parent.glob("*.damaged-*[0-9]")] == [shown["path"]]
    ir.async_delete_issue(hass, DOMAIN, "store_salvaged")
    await hass.config_entries.async_reload(entry.entry_id)
    await _pass(hass, freezer, timedelta(seconds=61))
    assert _issues(hass) == set()


async def test_salvaging_waits_for_a_transfer_and_for_the_store(
    hass: HomeAssistant, entry: HomeIQConfigEntry, freezer: FrozenDateTimeFactory
) -> None:
    await hass.config_entries.async_unload(entry.entry_id)
    store_path(hass).write_bytes(b"no database at all, but long enough to be looked at" * 100)
    await hass.config_entries.async_setup(entry.entry_id)
    transfers = entry.runtime_data.care.transfers
    go_on = asyncio.Event()
    busy = asyncio.create_task(
        transfers.async_run(TransferKind.EXPORT, Path("x"), lambda _: go_on.wait(), lambda _: {})
    )
    await asyncio.sleep(0)
    freezer.tick(timedelta(seconds=61))
    async_fire_time_changed(hass)
    # In a thread: the clock of the loop stands still.
    await asyncio.to_thread(time.sleep, 0.3)
    assert "store_damaged" in _issues(hass)
    go_on.set()
    await busy
    with patch("custom_components.homeiq.salvaging.salvage", side_effect=StoreError("no room", reason="disk_full")):
        await _pass(hass, freezer, timedelta(seconds=61))
    assert transfers.state.last_error == "disk_full"
    await _pass(hass, freezer, timedelta(seconds=61))
    assert transfers.state.last == "salvage"
    assert _issues(hass) <= {"store_damaged", "store_salvaged"}


async def test_the_options_show_how_large_everything_is(hass: HomeAssistant, entry: HomeIQConfigEntry) -> None:
    shown = await hass.config_entries.options.async_init(entry.entry_id)
    placeholders = shown["description_placeholders"] or {}
    assert set(placeholders) >= {"store_size", "essentials_size", "size_cap", "free"}
    assert placeholders["essentials_size"] == "-"
    assert placeholders["store_size"].endswith(" MB")
    done = await hass.config_entries.options.async_configure(
        shown["flow_id"], {"size_cap": 64, "hour_days": 10, "backup_content": "all"}
    )
    assert {key: done["data"][key] for key in ("size_cap", "hour_days", "backup_content")} == {
        "size_cap": 64,
        "hour_days": 10,
        "backup_content": "all",
    }
    policy = await entry.runtime_data.care._async_policy()
    assert (policy.raw_days, policy.hour_days, policy.max_bytes) == (90, 10, 64 * 1_048_576)
    again = await hass.config_entries.options.async_init(entry.entry_id)
    assert (again["description_placeholders"] or {})["size_cap"] == "67.1 MB"
