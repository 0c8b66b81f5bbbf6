"""The extract for backups is a sound store without events, of now, and written only where it can be whole."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
import sqlite3
from zoneinfo import ZoneInfo

import pytest

from homeiq_engine.model import StoreError
from homeiq_engine.store import SCHEMA_VERSION, Essentials, RollUps, Store, _essentials, begin_store
from tests.engine.store.samples import T0_US, ManualClock, all_events, event, raw

HOUR_US = 3_600_000_000
_ROLLUPS = (
    "SELECT e.key, r.span, r.start, r.events, r.low, r.high FROM rollups AS r JOIN entities AS e ON e.id = r.entity"
)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """Return where the extract will be, in a folder that is not there yet."""
    return tmp_path / "backed up" / "homeiq.essentials.db"


@pytest.fixture
async def essentials(store: Store, target: Path) -> Essentials:
    """Return the extract of a store of three hours of 14 entities, rolled up."""
    await _fill(store, 0, 3)
    await store.set_meta("backfill_until", "done")
    await store.set_meta("import:abc", "17")
    await store.set_meta("forgotten", '["x"]')
    return Essentials(store, target)


@pytest.fixture
def rollups(store: Store) -> RollUps:
    """Return the store's roll-ups in UTC."""
    return RollUps(store, lambda: ZoneInfo("UTC"))


async def _fill(store: Store, first_hour: int, hours: int) -> None:
    await store.append(
        [
            event(entity_id=f"sensor.s{number}", time_us=T0_US + hour * HOUR_US + number, state=str(hour))
            for hour in range(first_hour, first_hour + hours)
            for number in range(14)
        ]
    )
    await RollUps(store, lambda: ZoneInfo("UTC")).update(T0_US + (first_hour + hours + 24) * HOUR_US)


@pytest.fixture
async def again(tmp_path: Path, target: Path, clock: ManualClock) -> AsyncIterator[Store]:
    """Return a store that is begun with a copy of the extract, when it is first used."""
    store = Store(tmp_path / "again" / "homeiq.db", clock)
    yield store
    await store.close()


async def test_a_store_begun_with_the_extract_has_the_roll_ups_and_goes_on_with_new_row_ids(
    store: Store, essentials: Essentials, target: Path, again: Store, path: Path
) -> None:
    """No event, no counter of events held; the recorder's past and half-done imports are asked for again."""
    await essentials.update()
    begin_store(target, again.path)
    await again.open()
    assert sorted(raw(again.path, _ROLLUPS)) == sorted(raw(path, _ROLLUPS)) != []
    assert await all_events(again) == []
    stats = await again.stats()
    assert (stats.events, stats.counters["stored"]) == (0, 42)
    assert [await again.get_meta(name) for name in ("backfill_until", "import:abc", "forgotten")] == [
        None,
        None,
        '["x"]',
    ]
    assert raw(again.path, "PRAGMA integrity_check") == [("ok",)]
    await _fill(again, 5, 1)
    assert [one.id for one in await all_events(again)] == list(range(43, 57))
    assert {one.state for one in await all_events(again)} == {"5"}


async def test_a_refreshed_extract_equals_one_written_anew(
    store: Store, essentials: Essentials, target: Path, rollups: RollUps
) -> None:
    """What came since is added, in the same file, whatever table it is in."""
    await essentials.update()
    before = target.stat().st_ino
    await _fill(store, 3, 30)
    await store.append([event(entity_id="sensor.new", time_us=T0_US + HOUR_US)])
    await rollups.update(T0_US + 70 * HOUR_US)
    await store.set_meta("note", "new")
    await essentials.update()
    assert target.stat().st_ino == before
    refreshed = _content(target)
    await essentials.rebuild()
    assert target.stat().st_ino != before
    assert _content(target) == refreshed
    assert ("sensor.new",) in raw(target, "SELECT key FROM entities")


def _content(path: Path) -> dict[str, list[tuple[object, ...]]]:
    tables = raw(path, "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    return {name: sorted(raw(path, f"SELECT * FROM {name}"), key=repr) for (name,) in tables}


async def test_the_extract_of_another_store_is_written_anew(
    essentials: Essentials, target: Path, tmp_path: Path, clock: ManualClock
) -> None:
    await essentials.update()
    clock.us += 1
    other = Store(tmp_path / "other" / "homeiq.db", clock)
    await other.append([event(entity_id="sensor.other")])
    await Essentials(other, target).update()
    await other.close()
    assert raw(target, "SELECT key FROM entities") == [("sensor.other",)]


@pytest.mark.parametrize("content", [b"no database at all", b""])
async def test_a_damaged_extract_is_written_anew(
    essentials: Essentials, target: Path, path: Path, content: bytes
) -> None:
    await essentials.update()
    target.write_bytes(content * 1000)
    await essentials.update()
    assert sorted(raw(target, _ROLLUPS)) == sorted(raw(path, _ROLLUPS)) != []


async def test_what_was_deleted_is_gone_from_an_extract_written_anew(
    store: Store, essentials: Essentials, target: Path
) -> None:
    await essentials.update()
    assert b"sensor.s13" in target.read_bytes()
    await store.purge_entity("sensor.s13")
    await essentials.rebuild()
    assert b"sensor.s13" not in target.read_bytes()
    assert len(raw(target, "SELECT 1 FROM entities")) == 13
    await essentials.remove()
    assert list(target.parent.iterdir()) == []


class _SetAfter:
    """Become set when it has been asked a number of times."""

    asks = 0

    def is_set(self) -> bool:
        """Count down."""
        type(self).asks -= 1
        return type(self).asks < 0

    def set(self) -> None:
        """Become set now."""
        type(self).asks = 0


@pytest.mark.parametrize("asks", [0, 3, 30, 100])
@pytest.mark.parametrize("work", ["rebuild", "update"])
async def test_giving_up_in_the_middle_leaves_the_extract_of_before(
    store: Store, essentials: Essentials, target: Path, work: str, asks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next one is whole."""
    await essentials.update()
    before = _content(target)
    await _fill(store, 3, 200)
    monkeypatch.setattr(_essentials, "_PROGRESS_STEPS", 10)
    with monkeypatch.context() as patched:
        patched.setattr(_essentials, "Flag", _SetAfter)
        patched.setattr(_SetAfter, "asks", asks)
        with pytest.raises(StoreError):
            await getattr(essentials, work)()
    assert _content(target) == before
    assert [file.name for file in target.parent.iterdir()] == [target.name]
    assert [file.name for file in store.path.parent.glob("*.partial*")] == []
    await essentials.update()
    assert len(raw(target, "SELECT 1 FROM rollups")) > len(before["rollups"])


async def test_who_gives_up_waiting_stops_the_work(
    store: Store, essentials: Essentials, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the caller hears of it, SQLite has let go of both files, and the next one may begin."""
    monkeypatch.setattr(_essentials, "_PROGRESS_STEPS", 1)
    task = asyncio.create_task(essentials.rebuild())
    while not essentials._one.locked():
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not essentials._one.locked()
    await essentials.update()
    assert len(raw(target, "SELECT 1 FROM entities")) == 14


async def test_an_extract_that_cannot_be_written_is_an_error_and_the_store_goes_on(
    store: Store, essentials: Essentials, target: Path
) -> None:
    target.mkdir(parents=True)
    with pytest.raises(StoreError):
        await essentials.update()
    assert [file.name for file in store.path.parent.glob("*.partial")] == []
    assert await store.append([event(100)]) == 1


async def test_events_are_written_while_the_extract_is_made(store: Store, essentials: Essentials, target: Path) -> None:
    """The extract reads a snapshot; the writer never waits for it."""
    await _fill(store, 3, 100)
    making = asyncio.create_task(essentials.rebuild())
    written = 0
    while not making.done():
        written += await store.append([event(10_000 + written)])
    await making
    assert written > 0
    assert len(raw(target, "SELECT 1 FROM entities")) == 14
    with sqlite3.connect(target) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
    connection.close()
