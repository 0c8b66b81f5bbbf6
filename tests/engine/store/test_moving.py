"""A store is moved or begun as a copy in one step: at every moment it is whole at one of the two places."""

from pathlib import Path
import sqlite3

import pytest

from homeiq_engine.model import StoreError
from homeiq_engine.store import Store, begin_store, move_store
from tests.engine.store.samples import ManualClock, all_events, event, events, raw


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """Return where the store is moved to, in a folder that is not there yet."""
    return tmp_path / "elsewhere" / "homeiq.db"


async def _filled(path: Path) -> None:
    store = Store(path, ManualClock())
    await store.append(events(100))
    await store.close()


async def _held(path: Path) -> int:
    store = Store(path, ManualClock())
    held = await all_events(store)
    await store.close()
    return len(held)


async def test_a_closed_store_is_moved_with_what_was_set_aside(path: Path, target: Path) -> None:
    await _filled(path)
    for beside in ("homeiq.db.damaged-20260101T000000", "homeiq.db.before-restore-20260101T000000"):
        path.with_name(beside).write_text(beside)
    path.with_name("export.jsonl.zst").touch()
    move_store(path, target)
    assert sorted(file.name for file in target.parent.iterdir()) == [
        "homeiq.db",
        "homeiq.db.before-restore-20260101T000000",
        "homeiq.db.damaged-20260101T000000",
    ]
    assert sorted(file.name for file in path.parent.iterdir()) == ["export.jsonl.zst"]
    assert await _held(target) == 100


async def test_what_a_killed_process_left_in_the_log_is_moved_too(path: Path, target: Path, tmp_path: Path) -> None:
    """A copy of the open files is what it leaves."""
    store = Store(path, ManualClock())
    await store.append([event(number) for number in range(100)])
    left = tmp_path / "left"
    left.mkdir()
    for name in ("homeiq.db", "homeiq.db-wal"):
        (left / name).write_bytes(path.with_name(name).read_bytes())
    await store.close()
    assert (left / "homeiq.db-wal").stat().st_size > 0
    move_store(left / "homeiq.db", target)
    assert await _held(target) == 100
    assert not (left / "homeiq.db-wal").exists()


async def test_an_open_store_stays_where_it_is(path: Path, target: Path) -> None:
    store = Store(path, ManualClock())
    await store.append(events(100))
    with pytest.raises(StoreError) as refused:
        move_store(path, target)
    assert refused.value.placeholders["reason"] in ("locked", "in_use")
    assert not target.exists()
    assert await store.append(events(1, first=100)) == 1
    await store.close()
    assert await _held(path) == 101


async def test_a_store_that_cannot_be_moved_stays_whole(path: Path, target: Path) -> None:
    await _filled(path)
    target.parent.write_text("a file where the folder should be")
    with pytest.raises(StoreError):
        move_store(path, target)
    assert await _held(path) == 100


async def test_a_damaged_store_is_not_moved(path: Path, target: Path) -> None:
    await _filled(path)
    path.write_bytes(b"no database at all" * 1000)
    path.with_name("homeiq.db-wal").write_bytes(b"log")
    with pytest.raises(StoreError) as refused:
        move_store(path, target)
    assert refused.value.placeholders["reason"] == "damaged"
    assert path.exists()


async def test_a_store_begins_with_a_copy(path: Path, target: Path) -> None:
    await _filled(path)
    target.parent.mkdir()
    target.with_name("homeiq.db.partial").write_text("left by a killed copy")
    begin_store(path, target)
    assert [file.name for file in target.parent.iterdir()] == ["homeiq.db"]
    assert await _held(target) == await _held(path) == 100


async def test_a_copy_that_fails_leaves_no_store(path: Path, target: Path) -> None:
    with pytest.raises(StoreError):
        begin_store(path, target)
    assert not target.exists()


def test_a_file_that_is_read_by_another_program_is_not_folded(path: Path, target: Path) -> None:
    """Its log holds what the file does not."""
    path.parent.mkdir()
    raw(path, "PRAGMA journal_mode = WAL")
    raw(path, "CREATE TABLE a (b)")
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM a").fetchall()
    with pytest.raises(StoreError) as refused:
        move_store(path, target)
    assert refused.value.placeholders["reason"] == "locked"
    reader.close()
