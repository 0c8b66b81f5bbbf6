"""A damaged, foreign, deleted or replaced file never stops the store, and nothing that was in it is deleted."""

from collections.abc import Callable
from pathlib import Path
import random
import sqlite3

import pytest

from homeiq_engine.model import StoreDamagedError, StoreError
from homeiq_engine.store import Store, remove_files
from homeiq_engine.store._connection import close, connect
from homeiq_engine.store._integrity import quick_check, size
from homeiq_engine.store._purging import empty_wal
from tests.engine.store.samples import ManualClock, all_events, event, events, without_id


async def _filled(path: Path, count: int = 3000) -> None:
    store = Store(path, ManualClock())
    await store.append([event(number, payload=f'{{"n":{number}}}') for number in range(count)])
    await store.close()


def _garbage(content: bytes) -> bytes:
    return random.Random(1).randbytes(len(content))


def _truncated(content: bytes) -> bytes:
    return content[: len(content) // 2 + 100]


def _one_page_left(content: bytes) -> bytes:
    return content[:4096]


def _half_overwritten(content: bytes) -> bytes:
    return content[: len(content) // 2] + random.Random(2).randbytes(len(content) - len(content) // 2)


def _half_zero(content: bytes) -> bytes:
    return content[: len(content) // 2] + bytes(len(content) - len(content) // 2)


def _text(content: bytes) -> bytes:
    return b"not a database\n" * 300


def _broken_header(content: bytes) -> bytes:
    return content[:20] + bytes(40) + content[60:]


DAMAGES = [_garbage, _truncated, _one_page_left, _half_overwritten, _half_zero, _text, _broken_header]


@pytest.mark.parametrize("damage", DAMAGES)
async def test_a_damaged_file_is_set_aside_to_the_byte(
    path: Path, clock: ManualClock, damage: Callable[[bytes], bytes]
) -> None:
    """However the file was damaged: it is kept under another name, and the events go on into a new file."""
    await _filled(path)
    damaged = damage(path.read_bytes())
    path.write_bytes(damaged)
    store = Store(path, clock)

    await store.append(events(5))

    (aside,) = store.set_aside
    assert aside.name.startswith("homeiq.db.damaged-20260921T")
    assert aside.read_bytes() == damaged
    assert [without_id(one) for one in await all_events(store)] == events(5)
    await store.close()


async def test_a_zero_length_file_is_begun_anew(path: Path, clock: ManualClock) -> None:
    """An empty file holds nothing to keep: it becomes the store."""
    path.parent.mkdir()
    path.touch()
    store = Store(path, clock)

    await store.append(events(5))

    assert store.set_aside == ()
    await store.close()


async def test_a_second_damaged_file_of_the_same_second_gets_another_name(path: Path, clock: ManualClock) -> None:
    """Nothing that was set aside is ever overwritten."""
    path.parent.mkdir()
    stores = [Store(path, clock) for _ in range(3)]
    for number, store in enumerate(stores):
        path.write_bytes(b"damaged %d" % number * 100)
        await store.open()
        await store.close()

    assert [store.set_aside[0].read_bytes()[:9] for store in stores] == [b"damaged 0", b"damaged 1", b"damaged 2"]


async def test_side_files_go_with_the_damaged_file(path: Path, clock: ManualClock) -> None:
    """The write-ahead log of a damaged file is kept beside it and never replayed into the new store."""
    path.parent.mkdir()
    path.write_bytes(b"damaged" * 1000)
    path.with_name("homeiq.db-wal").write_bytes(b"log" * 1000)
    store = Store(path, clock)

    await store.append(events(5))

    (aside,) = store.set_aside
    assert aside.with_name(f"{aside.name}-wal").exists()
    assert len(await all_events(store)) == 5
    await store.close()


def _damage_in_place(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(random.Random(3).randbytes(path.stat().st_size - 4096))


async def test_damage_that_the_writer_meets_while_running(store: Store, path: Path) -> None:
    """The batch at hand is refused as a whole, the file is set aside, and the same batch is taken by the new one."""
    await store.append([event(number, payload=f'{{"n":{number}}}') for number in range(3000)])
    await store.write(empty_wal)
    _damage_in_place(path)
    await store._writer.execute_fetchall("PRAGMA shrink_memory")

    with pytest.raises(StoreDamagedError) as met:
        await store.append(events(5))
    stored = await store.append(events(5))

    assert met.value.placeholders["reason"] == "damaged"
    assert stored == 5
    assert len(store.set_aside) == 1
    assert len(await all_events(store)) == 5


async def test_damage_that_a_reader_meets_is_seen_to_by_the_next_write(store: Store, path: Path) -> None:
    """A reader names the damage; the next write checks the whole file first and goes on into a new one."""
    await store.append([event(number, payload=f'{{"n":{number}}}') for number in range(3000)])
    await store.write(empty_wal)
    _damage_in_place(path)

    with pytest.raises(StoreDamagedError):
        await all_events(store)
    stored = await store.append(events(5))

    assert stored == 5
    assert len(store.set_aside) == 1


async def test_whoever_asked_is_told_at_once_of_damage_and_of_the_new_file(path: Path) -> None:
    """Both callbacks come with the write that found the damage; the first file of all is no new one."""
    told: list[object] = []
    store = Store(path, ManualClock(), on_set_aside=told.append, on_begun=lambda: told.append("begun"))
    await store.append(events(5))
    before = list(told)
    await store._drop_writer()
    path.write_bytes(b"no database at all" * 1_000)
    await store.append(events(5))
    await store.close()

    assert (before, told) == ([], [store.set_aside[0], "begun"])


async def test_a_readers_false_alarm_costs_nothing(store: Store) -> None:
    """A file that proves sound after a reader's complaint is kept."""
    await store.append(events(5))
    alarm = sqlite3.DatabaseError("malformed")
    alarm.sqlite_errorcode = sqlite3.SQLITE_CORRUPT

    with pytest.raises(StoreDamagedError):
        async with store.reader():
            raise alarm
    await store.append(events(5, first=5))

    assert store.set_aside == ()
    assert len(await all_events(store)) == 10


async def test_a_readers_other_errors_are_no_alarm(store: Store) -> None:
    """A statement that SQLite refuses says nothing about the file."""
    with pytest.raises(StoreError) as refused:
        async with store.reader() as reader:
            await reader.execute_fetchall("SELECT nothing")

    assert refused.value.placeholders["reason"] == "unknown"
    assert store._check_s is None


async def test_a_file_that_cannot_be_set_aside_is_an_error_that_passes(
    path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where renaming fails the store says so and tries again next time."""
    path.parent.mkdir()
    path.write_bytes(b"damaged" * 1000)
    store = Store(path, clock)

    def refuse(path: Path, now_us: int) -> Path:
        raise OSError(5, "no")

    with monkeypatch.context() as patch:
        patch.setattr("homeiq_engine.store._store.set_aside", refuse)
        with pytest.raises(StoreError) as failed:
            await store.append(events(1))
    stored = await store.append(events(1))

    assert failed.value.placeholders["reason"] == "io_error"
    assert stored == 1
    assert len(store.set_aside) == 1
    await store.close()


async def test_a_deleted_file_is_begun_anew_at_once(store: Store, path: Path) -> None:
    """Events never go on into a file that nobody can find any more."""
    await store.append(events(5))
    for file in list(path.parent.iterdir()):
        file.unlink()

    await store.append(events(3))

    assert path.exists()
    assert len(await all_events(store)) == 3


async def test_a_replaced_file_is_the_store_from_then_on(store: Store, path: Path, tmp_path: Path) -> None:
    """A copy that was put in the place of the file is read and written, with its own ids."""
    await _filled(tmp_path / "other" / "copy.db", 50)
    await store.append(events(5))
    (tmp_path / "other" / "copy.db").replace(path)

    await store.append(events(1, first=50))

    assert [one.id for one in await store.events_after(48, 10)] == [49, 50, 51]
    assert (await store.stats()).counters["stored"] == 51


async def test_the_check_ends_when_its_time_is_up(path: Path) -> None:
    """A large file is not checked for longer than the budget, and a sound one passes within it."""
    await _filled(path, 20_000)
    connection = await connect(path)

    answers = (await quick_check(connection, -1.0), await quick_check(connection, 60.0))
    await close(connection)

    assert answers == (False, True)


async def test_an_error_that_is_not_the_budgets_is_passed_on(path: Path) -> None:
    """Only the interruption by the clock counts as unfinished."""
    await _filled(path, 10)
    holder = sqlite3.connect(path)
    holder.execute("PRAGMA locking_mode = EXCLUSIVE")
    holder.execute("DELETE FROM events")
    connection = await connect(path)
    await connection.execute_fetchall("PRAGMA busy_timeout = 1")

    with pytest.raises(sqlite3.OperationalError, match="locked"):
        await quick_check(connection, 60.0)
    await close(connection)
    holder.close()


def test_the_size_is_that_of_all_files(path: Path) -> None:
    """Main file and side files count, what is not there counts nothing."""
    path.parent.mkdir()
    empty = size(path)
    path.write_bytes(bytes(100))
    path.with_name("homeiq.db-wal").write_bytes(bytes(20))
    path.with_name("homeiq.db.damaged-1").write_bytes(bytes(3))

    assert (empty, size(path)) == (0, 120)


def test_removing_takes_the_store_and_what_was_set_aside(path: Path) -> None:
    """A copy that a person made beside the store is not ours to delete."""
    path.parent.mkdir()
    for name in ("", "-wal", "-shm", ".damaged-20260101T000000", ".damaged-20260101T000000-wal", ".bak", "2"):
        path.with_name(path.name + name).touch()

    remove_files(path)
    remove_files(path)

    assert sorted(file.name for file in path.parent.iterdir()) == ["homeiq.db.bak", "homeiq.db2"]
