"""A restore replaces the store by what was asked for, loses nothing that arrives meanwhile, or changes nothing."""

import asyncio
from collections.abc import Sequence
import gzip
import os
from pathlib import Path
import random
import sqlite3

import pytest

from homeiq_engine.model import (
    BusyError,
    Event,
    EventQuery,
    StoreDamagedError,
    StoreError,
    StoreNewerError,
    TransferError,
)
from homeiq_engine.store import (
    SCHEMA_VERSION,
    ExportForm,
    Follower,
    Store,
    _integrity,
    _store as store_module,
    _transfer_copy,
    content_hash,
    export_events,
    forget_entity,
    restore,
)
from homeiq_engine.store._integrity import restoring_path, swap
from homeiq_engine.store._migrations import APPLICATION_ID
from tests.engine.store.samples import T0_US, ManualClock, all_events, event, events, raw, without_id
from tests.engine.store.small_disk import small_disk


@pytest.fixture
async def source(tmp_path: Path, clock: ManualClock) -> Path:
    """Return the file of a closed store with 1,500 events, of which 100 were purged."""
    store = Store(tmp_path / "source" / "homeiq.db", clock)
    await store.append(events(1600, payload='{"a":"sensor.s1"}'))
    await store.purge_before(T0_US + 100_000)
    await store.close()
    return store.path


@pytest.fixture
async def export(source: Path, clock: ManualClock, tmp_path: Path) -> Path:
    """Return an export of the same events."""
    store = Store(source, clock)
    await export_events(store, tmp_path / "export")
    await store.close()
    return tmp_path / "export"


@pytest.fixture
def sources(source: Path, export: Path) -> dict[str, Path]:
    """Return both by name."""
    return {"source": source, "export": export}


def _wanted() -> list[Event]:
    return events(1500, first=100, payload='{"a":"sensor.s1"}')


def _now(first: int, count: int = 5) -> list[Event]:
    return events(count, first=100_000 + first)


async def _found(store: Store) -> list[Event]:
    return [without_id(one) for one in await all_events(store)]


def _names(path: Path) -> list[str]:
    return sorted(file.name for file in path.parent.iterdir())


@pytest.mark.parametrize("kind", ["source", "export"])
async def test_the_content_is_replaced_and_the_old_file_is_kept(
    store: Store, path: Path, kind: str, sources: dict[str, Path], clock: ManualClock
) -> None:
    """From a store file and from an export: the store goes on with the new content, the old one opens beside it."""
    await store.append(_now(0))
    told: list[tuple[int, int | None]] = []

    report = await restore(store, sources[kind], progress=lambda done, total: told.append((done, total)))

    found, stats = await _found(store), await store.stats()
    await store.append(_now(5))
    before = Store(report.before, clock)
    assert found == _wanted()
    assert (report.events, report.forgotten, report.carried_over) == (1500, 0, 0)
    assert (stats.events, stats.oldest_us) == (1500, T0_US + 100_000)
    assert await _found(before) == _now(0)
    assert report.before.name.startswith("homeiq.db.before-restore-20260921T")
    assert told[-1] == (1500, 1500)
    await before.close()
    await store.close()
    assert _names(path) == [path.name, report.before.name]
    assert len(raw(path, "SELECT 1 FROM events")) == 1505


@pytest.mark.parametrize("kind", ["source", "export"])
async def test_what_arrives_meanwhile_is_kept(store: Store, kind: str, sources: dict[str, Path]) -> None:
    """Events go on being stored during the restore, and all of them are in the new store, once."""
    await store.append(_now(0))
    file = sources[kind]
    arrived: list[Event] = []
    begun, restored = asyncio.Event(), asyncio.Event()

    async def arrive() -> None:
        await begun.wait()
        while not restored.is_set():
            more = _now(100 + len(arrived), 7)
            await store.append(more)
            arrived.extend(more)
            await asyncio.sleep(0.001)

    task = asyncio.ensure_future(arrive())
    report = await restore(store, file, progress=lambda _, __: begun.set())
    restored.set()
    await task

    assert await _found(store) == sorted(_wanted() + arrived, key=lambda one: one.time_us)
    assert 0 < report.carried_over <= len(arrived)


async def test_row_ids_are_never_given_again(store: Store, source: Path) -> None:
    """Followers may hold row ids of the old store in memory: new events stand behind all of them."""
    await store.append(_now(0, 5000))
    await restore(store, source)

    await store.append(_now(5000, 1))

    assert await store.last_row_id() == 5001


async def test_followers_begin_where_they_were_in_the_source(store: Store, source: Path, clock: ManualClock) -> None:
    """A follower that the source knew goes on from there, a newer one begins at its beginning, a former one is gone."""
    before = Store(source, clock)
    await Follower(before, "kept").rewind(1234)
    await Follower(before, "former").rewind(99)
    await before.close()
    await store.append(_now(0))
    await Follower(store, "kept").rewind(5)
    await Follower(store, "newer").rewind(5)

    await restore(store, source)

    assert [await Follower(store, name).cursor() for name in ("kept", "newer", "former")] == [1234, 0, None]


@pytest.mark.parametrize("kind", ["source", "export"])
async def test_what_was_forgotten_since_does_not_come_back(
    store: Store, path: Path, kind: str, sources: dict[str, Path], clock: ManualClock
) -> None:
    """Neither its events nor its name in the payloads of others; what it did after that stays."""
    file = sources[kind]
    clock.us = T0_US + 1_000_000
    await forget_entity(store, "sensor.s2")
    clock.us = T0_US + 10_000_000
    await forget_entity(store, "sensor.s1")

    report = await restore(store, file)

    gone = [one for one in _wanted() if one.entity_id == "sensor.s1"]
    gone += [one for one in _wanted() if one.entity_id == "sensor.s2" and one.time_us < T0_US + 1_000_000]
    found = await _found(store)
    stats = await store.stats()
    assert report.forgotten == len(gone)
    assert len(found) == stats.events == 1500 - len(gone)
    assert {one.payload for one in found} == {'{"a":"**PURGED**"}'}
    assert min(one.time_us for one in found if one.entity_id == "sensor.s2") >= T0_US + 1_000_000
    await store.close()
    assert b"sensor.s1" not in path.read_bytes()


async def test_what_is_forgotten_during_the_restore_does_not_come_back(
    store: Store, path: Path, source: Path, clock: ManualClock
) -> None:
    """An entity that is purged while the copy is made is purged from the copy as well."""
    await store.append(_now(0))
    clock.us = T0_US + 10_000_000
    purges: list[asyncio.Future[None]] = []

    def purge(done: int, total: int | None) -> None:
        purges.append(asyncio.ensure_future(forget_entity(store, "sensor.s3"))) if not purges else None

    await restore(store, source, progress=purge)

    assert {one.entity_id for one in await _found(store)} == {f"sensor.s{number}" for number in (0, 1, 2, 4, 5, 6)}


async def test_what_is_missing_since_the_source_is_known_to_be_missing(
    store: Store, export: Path, clock: ManualClock
) -> None:
    """What happened between the backup and now may be fetched from the recorder: the time since when is noted."""
    clock.us = T0_US + 3_600_000_000
    await store.append(_now(0))

    await restore(store, export)

    assert await store.unheard_since() == T0_US + 1_599_000 - 5_000_000


async def test_an_older_schema_is_upgraded(store: Store, tmp_path: Path) -> None:
    """The file of an earlier HomeIQ is restored and brought up to date, and is itself not touched."""
    schema = (Path(__file__).parent / "schemas" / "v1.sql").read_text()
    old = tmp_path / "old.db"
    connection = sqlite3.connect(old)
    connection.executescript(schema)
    connection.executescript(
        "INSERT INTO entities VALUES (1, 'light.a'); INSERT INTO texts VALUES (1, 'on');"
        f"INSERT INTO events (id, at, kind, origin, entity, state) VALUES (1, {T0_US - 1_861_920_000_000_000}, 0, 0, 1, 1);"
        f"INSERT INTO counters VALUES ('stored', 1); PRAGMA user_version = 1; PRAGMA application_id = {APPLICATION_ID};"
    )
    connection.close()
    content = old.read_bytes()

    report = await restore(store, old)

    assert await _found(store) == [event(0, entity_id="light.a", state="on")]
    assert report.events == 1
    assert raw(store.path, "PRAGMA user_version") == [(SCHEMA_VERSION,)]
    assert old.read_bytes() == content


async def _untouched(store: Store, wanted: Sequence[Event]) -> None:
    """See that a failed restore has changed nothing and left nothing behind."""
    assert await _found(store) == wanted
    await store.append(_now(900, 1))
    assert await _found(store) == [*wanted, *_now(900, 1)]
    assert {name.removesuffix("-wal").removesuffix("-shm") for name in _names(store.path)} == {
        "homeiq.db",
        "homeiq.db.lock",
    }


async def test_files_that_cannot_be_restored_change_nothing(
    store: Store, source: Path, export: Path, tmp_path: Path
) -> None:
    """Damaged, too new, another program's, cut off, changed, none: each is refused by name."""
    await store.append(_now(0))
    content = source.read_bytes()
    files = {name: tmp_path / name for name in ("damaged", "newer", "foreign", "cut", "changed", "empty")}
    files["damaged"].write_bytes(content[:40_000] + bytes(80_000) + content[120_000:])
    files["newer"].write_bytes(content)
    raw(files["newer"], f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    raw(files["foreign"], "CREATE TABLE a (b)")
    raw(files["empty"], "VACUUM")
    files["cut"].write_bytes(export.read_bytes()[:-40])
    again = Store(source, ManualClock())
    await export_events(again, tmp_path / "plain", form=ExportForm.JSONL_GZ)
    await again.close()
    lines = gzip.decompress((tmp_path / "plain").read_bytes())
    files["changed"].write_bytes(lines.replace(b'"state":"777"', b'"state":"778"'))
    (tmp_path / "no footer").write_bytes(b"".join(lines.splitlines(keepends=True)[:-1]))
    (tmp_path / "bad line").write_bytes(lines.replace(b'"kind":"state"', b'"kind":"odd"', 1))

    for name, error in (
        ("damaged", StoreDamagedError),
        ("newer", StoreNewerError),
        ("foreign", StoreDamagedError),
        ("empty", StoreDamagedError),
        ("cut", TransferError),
        ("changed", TransferError),
        ("no footer", TransferError),
        ("bad line", TransferError),
        ("nothing", TransferError),
        ("source", TransferError),
    ):
        with pytest.raises(error):
            await restore(store, tmp_path / name)
    with pytest.raises(TransferError):
        await restore(store, store.path)

    await _untouched(store, _now(0))


async def _cancelled(store: Store, file: Path) -> None:
    task: asyncio.Future[object] = asyncio.ensure_future(restore(store, file, progress=lambda _, __: task.cancel()))
    await task


async def test_a_cancelled_restore_changes_nothing(store: Store, source: Path, export: Path) -> None:
    """Cancelled while copying or filling: the store is as it was."""
    await store.append(_now(0))
    for file in (source, export):
        with pytest.raises(asyncio.CancelledError):
            await _cancelled(store, file)

    await _untouched(store, _now(0))


async def test_only_one_restore_at_a_time(store: Store, source: Path) -> None:
    """A second one is refused while the first is under way."""
    first = asyncio.ensure_future(restore(store, source))
    await asyncio.sleep(0)
    with pytest.raises(BusyError):
        await restore(store, source)

    assert (await first).events == 1500


async def test_a_reader_that_stays_keeps_the_old_store(
    store: Store, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader that does not leave: refused as locked, nothing has changed, and it works when the reader has left."""
    monkeypatch.setattr(store_module, "_READERS_LEAVE_S", 0.2)
    await store.append(_now(0))
    async with store.reader():
        with pytest.raises(StoreError) as refused:
            await restore(store, source)
    await _untouched(store, _now(0))

    await restore(store, source)

    assert refused.value.placeholders["reason"] == "locked"
    assert await _found(store) == [*_wanted()]


async def test_a_foreign_reader_keeps_the_old_store(store: Store, path: Path, source: Path) -> None:
    """Another connection reads an old state: refused as locked, nothing has changed."""
    await store.append(_now(0))
    reader = sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM events").fetchall()
    await store.append(_now(5))

    with pytest.raises(StoreError) as refused:
        await restore(store, source)
    reader.close()

    assert refused.value.placeholders["reason"] == "locked"
    await _untouched(store, _now(0, 10))


async def test_an_idle_foreign_reader_goes_on_with_the_old_file(store: Store, path: Path, source: Path) -> None:
    """A connection of another program that is open but not reading sees the old file, and disturbs the new one never."""
    await store.append(_now(0))
    reader = sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)
    seen = reader.execute("SELECT COUNT(*) FROM events").fetchone()

    report = await restore(store, source)
    await store.append(_now(5))
    later = reader.execute("SELECT COUNT(*) FROM events").fetchone()
    reader.close()

    assert seen == later == (5,)
    assert await _found(store) == [*_wanted(), *_now(5)]
    assert raw(report.before, "PRAGMA integrity_check") == raw(path, "PRAGMA integrity_check") == [("ok",)]


async def test_readers_of_the_store_wait_for_the_swap(store: Store, source: Path) -> None:
    """Queries during the swap answer from the old or the new store, and never fail."""
    await store.append(_now(0))
    restored = asyncio.Event()
    counts: set[int] = set()

    async def ask() -> None:
        while not restored.is_set():
            counts.add(len((await store.query(EventQuery(limit=10_000))).events))

    task = asyncio.ensure_future(ask())
    await restore(store, source)
    restored.set()
    await task

    assert counts <= {5, 1500}
    assert await _found(store) == _wanted()


@pytest.mark.parametrize("kind", ["source", "export"])
async def test_a_full_disk_changes_nothing(tmp_path: Path, clock: ManualClock, kind: str) -> None:
    """There is no room for the second store: told as that, the first goes on, and there is room again."""
    chance = random.Random(1)
    big = Store(tmp_path / "big.db", clock)
    await big.append([event(number, payload=chance.randbytes(400).hex()) for number in range(4000)])
    await export_events(big, tmp_path / "big.export")
    await big.close()
    file = {"source": big.path, "export": tmp_path / "big.export"}[kind]
    with small_disk(tmp_path / "disk") as disk:
        store = Store(disk.folder / "homeiq.db", clock)
        await store.append(_now(0))
        with pytest.raises(StoreError) as full:
            await restore(store, file)
        await _untouched(store, _now(0))
        await store.close()

    assert full.value.placeholders["reason"] == "disk_full"


def _closed(path: Path, content: str) -> None:
    raw(path, f"CREATE TABLE {content} (x)")


def test_a_file_system_without_hard_links_keeps_a_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old store is copied then; if that fails, too, nothing has changed."""

    def refuse(*_: object) -> None:
        raise OSError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    new, path = tmp_path / "new.db", tmp_path / "homeiq.db"
    _closed(new, "new")
    _closed(path, "old")
    monkeypatch.setattr(_integrity.shutil, "copyfile", refuse)
    with pytest.raises(OSError, match="no links"):
        swap(new, path, T0_US)
    unchanged = raw(path, "SELECT name FROM sqlite_master")
    monkeypatch.undo()
    monkeypatch.setattr(os, "link", refuse)

    before = swap(new, path, T0_US)

    assert unchanged == raw(before, "SELECT name FROM sqlite_master") == [("old",)]
    assert raw(path, "SELECT name FROM sqlite_master") == [("new",)]
    assert _names(path) == [path.name, before.name]


async def test_a_copy_that_is_not_equal_is_refused(store: Store, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that keeps something else than what it was given is noticed before anything is replaced."""
    await store.append(_now(0))
    copy = _transfer_copy._copy

    async def copy_badly(connection: object, target: Path, *more: object) -> None:
        await copy(connection, target, *more)
        raw(target, "UPDATE payloads SET key = 'other'")

    monkeypatch.setattr(_transfer_copy, "_copy", copy_badly)
    with pytest.raises(TransferError, match="not equal"):
        await restore(store, source)

    await _untouched(store, _now(0))


async def test_an_export_that_is_stored_wrongly_is_refused(
    store: Store, path: Path, export: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What stands in the new store is compared with what was read, before anything is replaced."""
    await store.append(_now(0))

    def spoil(done: int, total: int | None) -> None:
        raw(restoring_path(path), "UPDATE events SET held_us = 1 WHERE id = 3")

    with pytest.raises(TransferError, match="not what was read"):
        await restore(store, export, progress=spoil)

    await _untouched(store, _now(0))


async def test_content_hashes_tell_stores_apart_by_what_they_hold(store: Store, tmp_path: Path) -> None:
    """Equal events in another order, with other row ids: the same hash; one value changed: another."""
    other = Store(tmp_path / "other.db", ManualClock())
    await store.append([event(7), event(8), event(8)])
    await other.append([event(1), event(8), event(7), event(8)])
    await other.purge_before(T0_US + 2000)

    async def both() -> list[tuple[int, str]]:
        hashes = []
        for one in (store, other):
            async with one.reader() as reader:
                hashes.append(await content_hash(reader))
        return hashes

    first, second = await both()
    raw(other.path, "UPDATE events SET held_us = 1 WHERE id = 2")
    _, changed = await both()
    await other.close()

    assert first == second
    assert first[0] == changed[0] == 3
    assert first[1] != changed[1]
