"""A full, read-only or locked disk costs a try, never the store: the same batch is taken as soon as it can be."""

import asyncio
from collections.abc import Iterator
import errno
from pathlib import Path
import sqlite3
import subprocess
import sys

import pytest

from homeiq_engine.model import StoreDamagedError, StoreError
from homeiq_engine.store import Store, _connection
from homeiq_engine.store._connection import connect, is_damage, to_store_error, translated
from tests.engine.store.samples import ManualClock, all_events, event, events, raw, without_id
from tests.engine.store.small_disk import SmallDisk, small_disk

LOCK = Path(__file__).with_name("lock_process.py")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """Return a disk of one megabyte."""
    with small_disk(tmp_path / "disk") as disk:
        yield disk


def _lock(path: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, str(LOCK), str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "locked\n"
    return process


async def _unlock(process: subprocess.Popen[str]) -> None:
    await asyncio.to_thread(process.communicate, "\n")


async def test_another_process_holds_the_lock_for_a_while(store: Store, path: Path) -> None:
    """A write waits for a lock that passes within seconds, while readers go on, and then succeeds."""
    await store.append(events(5))
    process = _lock(path)
    write = asyncio.ensure_future(store.append(events(5, first=5)))
    await asyncio.sleep(0.2)

    read = (await store.stats()).events
    waiting = not write.done()
    await _unlock(process)

    assert (read, waiting, await write) == (5, True, 5)


async def test_a_lock_that_stays_is_named_and_passes(
    path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Locked for longer than a write waits: the batch is refused whole, and taken when the lock is gone."""
    monkeypatch.setattr(_connection, "BUSY_TIMEOUT_MS", 50)
    store = Store(path, clock)
    await store.append(events(5))
    writer = store._writer
    process = _lock(path)

    with pytest.raises(StoreError) as refused:
        await store.append(events(5, first=5), {"lost": 1})
    with pytest.raises(StoreError):
        await store.set_meta("a", "b")
    await _unlock(process)
    await store.append(events(5, first=5), {"lost": 1})

    assert refused.value.placeholders["reason"] == "locked"
    assert store._writer is writer
    assert [without_id(one) for one in await all_events(store)] == events(10)
    assert (await store.stats()).counters == {"stored": 10, "lost": 1}
    await store.close()


async def test_a_refused_batch_leaves_no_text_for_the_next(store: Store, path: Path) -> None:
    """Should the refused batch never be offered again, its words are not stored with another one, nor their ids used."""
    await store.append([event(0, state="on")])
    await store._writer.execute_fetchall("PRAGMA max_page_count = 1")
    with pytest.raises(StoreError):
        await store.append(
            [event(number, state="never " * 10 + "abcdefghij"[number % 10] * number) for number in range(190)]
        )
    await store._writer.execute_fetchall("PRAGMA max_page_count = 4294967294")
    await store.append([event(2, state="off")])

    assert raw(path, "SELECT id, key FROM texts") == [(1, "on"), (2, "off")]


async def test_a_full_disk_refuses_a_batch_whole_and_takes_it_when_there_is_space(
    disk: SmallDisk, clock: ManualClock
) -> None:
    """Nothing of the refused batch is there, what was stored can still be read, and nothing is stored twice later."""
    store = Store(disk.folder / "homeiq.db", clock)
    await store.append(events(100))
    disk.fill()
    big = [event(number, payload=f"{number}" * 200) for number in range(100, 600)]

    with pytest.raises(StoreError) as refused:
        await store.append(big, {"lost": 3})
    with pytest.raises(StoreError):
        await store.append(big, {"lost": 3})
    meanwhile = [without_id(one) for one in await all_events(store)]
    disk.free()
    await store.append(big, {"lost": 3})

    assert refused.value.placeholders["reason"] == "disk_full"
    assert meanwhile == events(100)
    assert [without_id(one) for one in await all_events(store)] == [*events(100), *big]
    assert (await store.stats()).counters == {"stored": 600, "lost": 3}
    await store.close()
    assert raw(store.path, "PRAGMA integrity_check") == [("ok",)]


async def test_a_store_cannot_begin_on_a_full_disk_but_later(disk: SmallDisk, clock: ManualClock) -> None:
    """Opening names the full disk, leaves no thread, and succeeds when there is space."""
    disk.fill()
    store = Store(disk.folder / "homeiq" / "homeiq.db", clock)

    with pytest.raises(StoreError) as refused:
        await store.open()
    disk.free()
    await store.append(events(5))

    assert refused.value.placeholders["reason"] == "disk_full"
    await store.close()


async def test_a_store_that_may_not_grow_is_full(store: Store) -> None:
    """The same holds without a disk of its own: SQLite's page limit is reached, lifted, and the batch is taken."""
    await store.append(events(100))
    await store._writer.execute_fetchall("PRAGMA max_page_count = 1")
    big = [event(number, payload=f"{number}" * 200) for number in range(100, 600)]

    with pytest.raises(StoreError) as refused:
        await store.append(big)
    await store._writer.execute_fetchall("PRAGMA max_page_count = 4294967294")
    await store.append(big)

    assert refused.value.placeholders["reason"] == "disk_full"
    assert [without_id(one) for one in await all_events(store)] == [*events(100), *big]


@pytest.mark.parametrize("folder", ["", "below"])
async def test_a_read_only_disk_is_named_and_passes(disk: SmallDisk, clock: ManualClock, folder: str) -> None:
    """No store can be begun there; as soon as the disk can be written, it is."""
    store = Store(disk.folder / folder / "homeiq.db", clock)
    disk.make("ro")

    with pytest.raises(StoreError) as refused:
        await store.append(events(5))
    disk.make("rw")
    await store.append(events(5))

    assert refused.value.placeholders["reason"] in ("read_only", "cannot_open")
    assert len(await all_events(store)) == 5
    await store.close()


async def test_a_store_on_a_disk_that_became_read_only(disk: SmallDisk, clock: ManualClock) -> None:
    """A store that is there but cannot be written is named so, kept as it is, and goes on when it can be written."""
    store = Store(disk.folder / "homeiq.db", clock)
    await store.append(events(5))
    await store.close()
    content = store.path.read_bytes()
    disk.make("ro")
    again = Store(store.path, clock)

    with pytest.raises(StoreError) as refused:
        await again.append(events(5, first=5))
    unchanged = store.path.read_bytes()
    disk.make("rw")
    await again.append(events(5, first=5))

    assert refused.value.placeholders["reason"] in ("read_only", "cannot_open")
    assert unchanged == content
    assert again.set_aside == ()
    assert len(await all_events(again)) == 10
    await again.close()


async def test_a_folder_in_the_place_of_the_file(path: Path, clock: ManualClock) -> None:
    """What cannot be opened is named, and opened when it is out of the way."""
    path.mkdir(parents=True)
    store = Store(path, clock)

    with pytest.raises(StoreError) as refused:
        await store.open()
    path.rmdir()
    await store.open()

    assert refused.value.placeholders["reason"] == "cannot_open"
    await store.close()


async def test_a_file_in_the_place_of_the_folder(path: Path, clock: ManualClock) -> None:
    """A folder that cannot be made is an error of the file system, and passes."""
    path.parent.touch()
    store = Store(path, clock)

    with pytest.raises(StoreError) as refused:
        await store.open()
    path.parent.unlink()
    await store.open()

    assert refused.value.placeholders["reason"] == "io_error"
    await store.close()


async def test_an_io_error_is_met_with_a_new_connection_and_a_check(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the disk failed once, the file is opened anew and looked at before it takes events again."""
    await store.append(events(5))
    failure = sqlite3.OperationalError("disk I/O error")
    failure.sqlite_errorcode = sqlite3.SQLITE_IOERR_WRITE
    checked: list[float] = []

    async def fail(*_: object) -> None:
        raise failure

    async def check(connection: object, budget_s: float) -> bool:
        checked.append(budget_s)
        return True

    with monkeypatch.context() as patch:
        patch.setattr("homeiq_engine.store._store.write_batch", fail)
        patch.setattr("homeiq_engine.store._store.quick_check", check)
        with pytest.raises(StoreError) as refused:
            await store.append(events(5, first=5))
        opened_anew = store._writer is None
        await store.get_meta("x")

    assert (refused.value.placeholders["reason"], opened_anew, checked) == ("io_error", True, [2.0])
    assert await store.append(events(5, first=5)) == 5


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (OSError(errno.ENOSPC, "full"), "disk_full"),
        (OSError(errno.EROFS, "read only"), "read_only"),
        (OSError(errno.EACCES, "denied"), "cannot_open"),
        (OSError(errno.EIO, "broken"), "io_error"),
        (OSError("no number"), "io_error"),
        (sqlite3.Error("no code"), "unknown"),
    ],
)
def test_a_fault_is_named_in_a_word(fault: OSError | sqlite3.Error, reason: str) -> None:
    """Each error of the file system or SQLite has its reason."""
    assert to_store_error(fault).placeholders["reason"] == reason


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (sqlite3.SQLITE_FULL, "disk_full"),
        (sqlite3.SQLITE_READONLY_DBMOVED, "read_only"),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, "locked"),
        (sqlite3.SQLITE_CANTOPEN_ISDIR, "cannot_open"),
        (sqlite3.SQLITE_IOERR_FSYNC, "io_error"),
        (sqlite3.SQLITE_CORRUPT_VTAB, "damaged"),
        (sqlite3.SQLITE_NOTADB, "damaged"),
        (sqlite3.SQLITE_ERROR, "unknown"),
    ],
)
def test_extended_codes_count_as_their_primary(code: int, reason: str) -> None:
    """SQLite's finer codes are not taken for unknown ones."""
    fault = sqlite3.OperationalError("x")
    fault.sqlite_errorcode = code

    assert to_store_error(fault).placeholders["reason"] == reason
    assert is_damage(fault) is (reason == "damaged")


@pytest.mark.parametrize(
    "blame", [sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.DataError, sqlite3.InterfaceError]
)
def test_errors_that_blame_the_data_are_passed_on(blame: type[sqlite3.Error]) -> None:
    """Whoever gave the data must know that trying again is of no use."""
    with pytest.raises(blame), translated():
        raise blame("this row")


def test_only_damage_is_damage() -> None:
    """Other errors never set a file aside."""
    assert is_damage(StoreDamagedError("x"))
    assert not is_damage(StoreError("x"))
    assert not is_damage(ValueError("x"))


async def test_a_failed_connection_leaves_no_thread(path: Path) -> None:
    """What cannot be opened is given up with its thread (the fixture looks)."""
    with pytest.raises(sqlite3.OperationalError):
        await connect(path, read_only=True)


async def test_conflicting_ids_are_put_right_by_opening_anew(store: Store, path: Path) -> None:
    """Should someone else have added rows, the ids are read anew and the batch is taken at the second try."""
    await store.append(events(5))
    raw(path, "INSERT INTO events (id, at, kind, origin) VALUES (6, 1, 0, 0)")

    with pytest.raises(sqlite3.IntegrityError):
        await store.append(events(2, first=5))
    await store.append(events(2, first=5))

    assert [one.id for one in await store.events_after(5, 10)] == [6, 7, 8]
