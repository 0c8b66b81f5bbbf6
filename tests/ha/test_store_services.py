"""Export, import, restore and roll-ups by services: nothing lost, nothing half done, bad input refused by its field."""

import asyncio
from collections.abc import Mapping
import json
from pathlib import Path
import shutil
from typing import Any
from unittest.mock import patch

from custom_components.homeiq import store_services
from custom_components.homeiq.const import DOMAIN
from custom_components.homeiq.engine.model import StoreError
from custom_components.homeiq.engine.store import content_hash
from custom_components.homeiq.places import Places
from custom_components.homeiq.runtime import HomeIQConfigEntry, HomeIQData
from homeassistant.auth.models import User
from homeassistant.core import Context, HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError, Unauthorized
import pytest

from tests.ha.conftest import Flush, Stored

TEXTS = json.loads(
    (Path(__file__).parents[2] / "custom_components/homeiq/translations/en.json").read_text(encoding="utf-8")
)["exceptions"]
BEGIN = 1_790_000_000.0
SENSOR = "sensor.homeiq_data_transfer"


async def _ask(hass: HomeAssistant, service: str, context: Context | None = None, **data: Any) -> dict[str, Any]:
    answer = await hass.services.async_call(DOMAIN, service, data, blocking=True, return_response=True, context=context)
    assert answer is not None
    json.dumps(answer)
    return answer


async def _hash(data: HomeIQData) -> tuple[int, str]:
    async with data.store.reader() as reader:
        return await content_hash(reader)


@pytest.fixture
async def past(hass: HomeAssistant, flush: Flush) -> None:
    """Store two hours of two entities, one event a minute."""
    for number in range(120):
        for name in ("sensor.a", "sensor.b"):
            hass.states.async_set(name, str(number % 5), {"unit_of_measurement": "W"}, timestamp=BEGIN + number * 60)
    await flush()


@pytest.mark.usefixtures("past")
@pytest.mark.parametrize("form", ["jsonl_zst", "jsonl_gz", "csv_gz"])
async def test_what_was_exported_and_purged_is_imported_again(
    hass: HomeAssistant, homeiq: HomeIQData, hass_config_dir: str, form: str
) -> None:
    """Also what waited in memory; the second import finds everything there already."""
    hass.states.async_set("sensor.waits", "1")
    exported = await _ask(hass, "export_data", form=form, path=f"exports/mine.{form}")
    before = await _hash(homeiq)
    assert exported["path"] == str(Path(hass_config_dir) / "homeiq" / "exports" / f"mine.{form}")
    assert (exported["events"], exported["sha256"]) == before
    assert exported["bytes"] == Path(exported["path"]).stat().st_size
    assert (await _ask(hass, "purge", keep_days=0))["deleted"] == before[0]
    assert (await _ask(hass, "query_events"))["events"] == []

    imported = await _ask(hass, "import_data", path=f"exports/mine.{form}")
    assert (imported["read"], imported["stored"], imported["verified"]) == (before[0], before[0], True)
    async with homeiq.store.reader() as reader:
        assert await content_hash(reader, end_us=round((BEGIN + 7_200) * 1_000_000)) != (0, "")
    names = {event["entity_id"] for event in (await _ask(hass, "query_events", limit=10_000))["events"]}
    assert names >= {"sensor.a", "sensor.b", "sensor.waits"}
    again = await _ask(hass, "import_data", path=exported["path"])
    assert (again["stored"], again["duplicates"]) == (0, before[0])
    assert sorted(file.name for file in (Path(hass_config_dir) / "homeiq").iterdir()) == [
        "exports",
        "homeiq.db",
        "homeiq.db-shm",
        "homeiq.db-wal",
        "homeiq.db.lock",
    ]


@pytest.mark.usefixtures("past")
async def test_an_export_of_a_range_has_a_name_of_its_own(hass: HomeAssistant, hass_config_dir: str) -> None:
    exported = await _ask(
        hass, "export_data", start="2026-09-21T14:13:20+00:00", end="2026-09-21T14:23:20+00:00", form="csv_gz"
    )
    assert exported["events"] == 20
    path = Path(exported["path"])
    assert path.parent == Path(hass_config_dir) / "homeiq" / "exports"
    assert path.name.startswith("homeiq-")
    assert path.name.endswith(".csv.gz")


@pytest.mark.usefixtures("past")
async def test_what_was_forgotten_is_neither_imported_nor_restored(hass: HomeAssistant, homeiq: HomeIQData) -> None:
    exported = await _ask(hass, "export_data", path="all.jsonl.zst")
    await _ask(hass, "purge_entity", entity_id="sensor.b")
    imported = await _ask(hass, "import_data", path="all.jsonl.zst")
    assert (imported["stored"], imported["forgotten"]) == (0, 120)
    restored = await _ask(hass, "restore", path="all.jsonl.zst")
    assert (restored["events"], restored["forgotten"]) == (exported["events"], 120)
    assert (await homeiq.store.counts_since(0)).get("sensor.b", 0) == 0


@pytest.mark.usefixtures("past")
async def test_a_restore_brings_back_the_content_of_an_export_and_keeps_what_was_there(
    hass: HomeAssistant, homeiq: HomeIQData
) -> None:
    exported = await _ask(hass, "export_data", path="good.jsonl.zst")
    await _ask(hass, "purge", keep_days=0)
    hass.states.async_set("light.later", "on")
    restored = await _ask(hass, "restore", path="good.jsonl.zst")
    assert (restored["events"], restored["sha256"]) == (exported["events"], exported["sha256"])
    before = Path(restored["before"])
    assert before.name.startswith("homeiq.db.before-restore-")
    counts = await homeiq.store.counts_since(0)
    assert (counts["sensor.a"], counts["sensor.b"]) == (120, 120)
    # What the store of before had is in the file that was kept.
    imported = await _ask(hass, "import_data", path=before.name)
    assert imported["stored"] >= 1
    assert (await homeiq.store.counts_since(0))["light.later"] == 1
    hass.states.async_set("light.later", "off")
    await homeiq.pipeline.flush()
    assert (await homeiq.store.counts_since(0))["light.later"] == 2
    assert len((await _ask(hass, "query_rollups", entity_id="sensor.a", **RANGE))["rollups"]) > 0


@pytest.mark.usefixtures("past")
async def test_a_damaged_source_changes_nothing(hass: HomeAssistant, homeiq: HomeIQData, hass_config_dir: str) -> None:
    exported = await _ask(hass, "export_data", path="good.jsonl.zst")
    content = Path(exported["path"]).read_bytes()
    Path(exported["path"]).write_bytes(content[: len(content) // 2])
    before = await _hash(homeiq)
    with pytest.raises(HomeAssistantError) as refused:
        await _ask(hass, "restore", path="good.jsonl.zst")
    assert refused.value.translation_key == "transfer_failed"
    TEXTS["transfer_failed"]["message"].format(**(refused.value.translation_placeholders or {}))
    assert (refused.value.translation_placeholders or {})["field"] == "path"
    assert (await _hash(homeiq))[0] >= before[0]
    assert [file.name for file in (Path(hass_config_dir) / "homeiq").glob("*.before-restore*")] == []


RANGE: Mapping[str, Any] = {"start": "2026-09-21T14:00:00+00:00", "end": "2026-09-21T17:00:00+00:00"}


@pytest.mark.usefixtures("past")
async def test_roll_ups_are_answered_by_hour_and_by_day(hass: HomeAssistant) -> None:
    """What was stored a moment ago is counted too."""
    hours = (await _ask(hass, "query_rollups", entity_id="sensor.a", **RANGE))["rollups"]
    assert [one["events"] for one in hours] == [47, 60, 13]
    assert {key: hours[1][key] for key in ("entity_id", "span", "start", "low", "high")} == {
        "entity_id": "sensor.a",
        "span": "hour",
        "start": "2026-09-21T15:00:00+00:00",
        "low": 0.0,
        "high": 4.0,
    }
    days = (await _ask(hass, "query_rollups", span="day", start="2026-09-20 00:00:00", end="2026-09-23 00:00:00"))[
        "rollups"
    ]
    assert {(one["entity_id"], one["events"]) for one in days if one["events"]} >= {
        ("sensor.a", 120),
        ("sensor.b", 120),
    }
    assert len((await _ask(hass, "query_rollups", limit=1, **RANGE))["rollups"]) == 1
    assert (await _ask(hass, "query_rollups", entity_id="sensor.nobody"))["rollups"] == []


@pytest.mark.usefixtures("past")
async def test_a_purged_entity_has_no_roll_ups(hass: HomeAssistant) -> None:
    assert (await _ask(hass, "query_rollups", entity_id="sensor.a", **RANGE))["rollups"] != []
    await _ask(hass, "purge_entity", entity_id="sensor.a")
    assert (await _ask(hass, "query_rollups", entity_id="sensor.a", **RANGE))["rollups"] == []


@pytest.mark.usefixtures("past")
async def test_the_sensor_tells_what_is_under_way_and_a_second_one_is_refused(
    hass: HomeAssistant, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = asyncio.Event()
    real = store_services.export_events

    async def slow(*arguments: Any, progress: Any, **fields: Any) -> Any:
        progress(10, 240)
        await go_on.wait()
        return await real(*arguments, progress=progress, **fields)

    monkeypatch.setattr(store_services, "export_events", slow)
    first = hass.async_create_task(_ask(hass, "export_data", path="first.jsonl.gz", form="jsonl_gz"))
    while (state := hass.states.get(SENSOR)) is None or state.state != "export" or not state.attributes["done"]:
        await asyncio.sleep(0.01)
    assert (state.attributes["done"], state.attributes["total"]) == (10, 240)
    with pytest.raises(HomeAssistantError) as refused:
        await _ask(hass, "export_data")
    assert refused.value.translation_key == "busy_failed"
    go_on.set()
    exported = await first
    await hass.async_block_till_done()
    state = hass.states.get(SENSOR)
    assert state is not None
    assert state.state == "idle"
    assert (state.attributes["last"], state.attributes["last_error"]) == ("export", None)
    assert state.attributes["last_result"]["events"] == exported["events"]


@pytest.mark.usefixtures("past")
async def test_unloading_breaks_a_transfer_off_and_leaves_nothing_half_done(
    hass: HomeAssistant, entry: HomeIQConfigEntry, hass_config_dir: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = asyncio.Event()

    async def endless(*_: Any, **__: Any) -> Any:
        started.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(store_services, "export_events", endless)
    task = hass.async_create_task(_ask(hass, "export_data"))
    await started.wait()
    transfers = entry.runtime_data.care.transfers
    assert await hass.config_entries.async_unload(entry.entry_id)
    with pytest.raises(HomeAssistantError) as broken:
        await task
    assert broken.value.translation_key == "store_failed"
    assert transfers.state.last_error == "cancelled"
    assert list((Path(hass_config_dir) / "homeiq" / "exports").iterdir()) == []


async def test_a_caller_that_gives_up_does_not_end_the_transfer(
    hass: HomeAssistant, homeiq: HomeIQData, hass_config_dir: str
) -> None:
    task = hass.async_create_task(_ask(hass, "export_data", path="mine.jsonl.gz", form="jsonl_gz"))
    while homeiq.care.transfers.state.kind == "idle":
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    while homeiq.care.transfers.state.kind != "idle":
        await asyncio.sleep(0.01)
    assert homeiq.care.transfers.state.last_error is None
    assert (Path(hass_config_dir) / "homeiq" / "mine.jsonl.gz").exists()


async def test_a_failure_is_told_by_the_sensor(
    hass: HomeAssistant, homeiq: HomeIQData, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: Any, **__: Any) -> Any:
        raise StoreError("no room", reason="disk_full")

    monkeypatch.setattr(store_services, "export_events", fail)
    with pytest.raises(HomeAssistantError):
        await _ask(hass, "export_data")
    await hass.async_block_till_done()
    state = hass.states.get(SENSOR)
    assert state is not None
    assert (state.state, state.attributes["last_error"]) == ("idle", "disk_full")


async def test_files_of_allowed_folders_can_be_used(hass: HomeAssistant, homeiq: HomeIQData, tmp_path: Path) -> None:
    outside = tmp_path / "share"
    outside.mkdir()
    with pytest.raises(ServiceValidationError):
        await _ask(hass, "export_data", path=str(outside / "a.jsonl.zst"))
    hass.config.allowlist_external_dirs = {str(outside)}
    exported = await _ask(hass, "export_data", path=str(outside / "a.jsonl.zst"))
    assert [file.name for file in outside.iterdir()] == ["a.jsonl.zst"]
    assert (await _ask(hass, "import_data", path=exported["path"]))["read"] == exported["events"]


async def test_where_links_are_not_possible_the_export_is_copied_to_its_place(
    hass: HomeAssistant, homeiq: HomeIQData
) -> None:
    with patch("custom_components.homeiq.store_services.os.link", side_effect=PermissionError):
        exported = await _ask(hass, "export_data", path="a.jsonl.zst")
    assert Path(exported["path"]).stat().st_size == exported["bytes"]
    assert list(homeiq.care.places.outside.parent.iterdir()) == []


BAD: list[tuple[str, dict[str, Any], str, str, str]] = [
    ("export_data", {"path": "../outside.jsonl.zst"}, "path_not_allowed", "path", "../outside.jsonl.zst"),
    ("export_data", {"path": "/etc/homeiq.jsonl.zst"}, "path_not_allowed", "path", "/etc/homeiq.jsonl.zst"),
    ("export_data", {"path": "link/x.jsonl.zst"}, "path_not_allowed", "path", "link/x.jsonl.zst"),
    ("export_data", {"path": "there.jsonl.zst"}, "file_exists", "path", "there.jsonl.zst"),
    ("export_data", {"path": "there.jsonl.zst/x.zst"}, "folder_missing", "path", "there.jsonl.zst/x.zst"),
    ("export_data", {"path": "homeiq.db"}, "path_in_use", "path", "homeiq.db"),
    ("export_data", {"path": "homeiq.db-journal"}, "path_in_use", "path", "homeiq.db-journal"),
    ("export_data", {"path": "homeiq.essentials.db"}, "path_in_use", "path", "homeiq.essentials.db"),
    ("export_data", {"path": "../homeiq.log.store/homeiq.db"}, "path_in_use", "path", "../homeiq.log.store/homeiq.db"),
    ("export_data", {"path": "a\x00b"}, "invalid_value", "path", "a\\x00b"),
    ("export_data", {"path": ""}, "invalid_value", "path", ""),
    ("export_data", {"path": 7}, "invalid_value", "path", "7"),
    ("export_data", {"path": "x" * 1_001}, "too_long", "path", "1001"),
    ("export_data", {"form": "parquet"}, "invalid_value", "form", "parquet"),
    ("export_data", {"form": ["jsonl_gz"]}, "invalid_value", "form", "['jsonl_gz']"),
    ("export_data", {"start": "soon"}, "invalid_value", "start", "soon"),
    ("export_data", {"start": "2026-01-02", "end": "2026-01-01"}, "invalid_value", "end", "2026-01-01"),
    ("export_data", {"pathh": "a"}, "unknown_field", "pathh", "a"),
    ("import_data", {}, "missing_field", "path", ""),
    ("import_data", {"path": "missing.jsonl.zst"}, "file_missing", "path", "missing.jsonl.zst"),
    ("import_data", {"path": "."}, "file_missing", "path", "."),
    ("import_data", {"path": "homeiq.db"}, "path_in_use", "path", "homeiq.db"),
    ("import_data", {"path": "/etc/passwd"}, "path_not_allowed", "path", "/etc/passwd"),
    ("restore", {}, "missing_field", "path", ""),
    ("restore", {"path": "../configuration.yaml"}, "path_not_allowed", "path", "../configuration.yaml"),
    ("restore", {"path": "homeiq.db"}, "path_in_use", "path", "homeiq.db"),
    ("query_rollups", {"span": "week"}, "invalid_value", "span", "week"),
    ("query_rollups", {"limit": 0}, "out_of_range", "limit", "0"),
    ("query_rollups", {"limit": 10_001}, "out_of_range", "limit", "10001"),
    ("query_rollups", {"entity_id": "kitchen"}, "invalid_value", "entity_id", "kitchen"),
    ("query_rollups", {"start": "2026-01-02", "end": "2026-01-02"}, "invalid_value", "end", "2026-01-02"),
]


async def test_bad_input_is_refused_by_field_and_value_and_nothing_is_done(
    hass: HomeAssistant, homeiq: HomeIQData, hass_config_dir: str, tmp_path: Path
) -> None:
    """The text has a translation whose placeholders are all given."""
    folder = Path(hass_config_dir) / "homeiq"
    (folder / "there.jsonl.zst").write_text("mine")
    (folder / "link").symlink_to(tmp_path)
    before = sorted(folder.rglob("*"))
    for service, data, key, field, value in BAD:
        with pytest.raises(ServiceValidationError) as refused:
            await _ask(hass, service, **data)
        assert (refused.value.translation_domain, refused.value.translation_key) == (DOMAIN, key), (service, data)
        placeholders = refused.value.translation_placeholders or {}
        assert (placeholders["field"], placeholders.get("value", "")) == (field, value)
        assert field in TEXTS[key]["message"].format(**placeholders)
    assert sorted(folder.rglob("*")) == before
    assert (folder / "there.jsonl.zst").read_text() == "mine"


ALL: list[tuple[str, dict[str, Any]]] = [
    ("export_data", {}),
    ("import_data", {"path": "a"}),
    ("restore", {"path": "a"}),
    ("query_rollups", {}),
]


@pytest.mark.usefixtures("entry")
async def test_only_an_administrator_may_call(hass: HomeAssistant, hass_read_only_user: User) -> None:
    for service, data in ALL:
        with pytest.raises(Unauthorized):
            await _ask(hass, service, Context(user_id=hass_read_only_user.id), **data)


async def test_while_nothing_is_loaded_every_service_says_so(hass: HomeAssistant, entry: HomeIQConfigEntry) -> None:
    await hass.config_entries.async_unload(entry.entry_id)
    for service, data in ALL:
        with pytest.raises(ServiceValidationError) as refused:
            await _ask(hass, service, **data)
        assert refused.value.translation_key == "not_loaded"


async def test_a_store_of_another_home_can_be_imported(
    hass: HomeAssistant, homeiq: HomeIQData, stored: Stored, hass_config_dir: str
) -> None:
    hass.states.async_set("light.kitchen", "on")
    await stored()
    places = Places(config=Path(hass_config_dir))
    async with homeiq.store.reader():
        shutil.copy(places.inside, places.folder / "other.db")
        shutil.copy(places.inside.with_name("homeiq.db-wal"), places.folder / "other.db-wal")
    await _ask(hass, "purge", keep_days=0)
    assert (await _ask(hass, "import_data", path="other.db"))["stored"] >= 1
    assert (await homeiq.store.counts_since(0))["light.kitchen"] == 1
