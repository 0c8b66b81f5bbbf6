"""One HomeIQ at a time has the store; the lock goes with its holder, however that ends."""

import errno
import fcntl
from pathlib import Path
import shutil

import pytest

from homeiq_engine.model import StoreError, StoreInUseError
from homeiq_engine.store import Store, remove_files
from homeiq_engine.store._lock import StoreLock
from tests.engine.store.processes import running
from tests.engine.store.samples import ManualClock, all_events, events, without_id


async def test_a_second_process_keeps_the_first_from_opening(path: Path, clock: ManualClock) -> None:
    """A store that another process has open is refused by name, and can be opened when that was killed."""
    store = Store(path, clock)
    with running("hold", path), pytest.raises(StoreInUseError) as refused:
        await store.append(events(3))
    await store.append(events(3))
    await store.close()

    assert refused.value.code == "store_in_use"
    assert refused.value.placeholders == {"reason": "in_use", "path": f"{path}.lock"}


async def test_a_second_store_object_is_refused_until_the_first_is_closed(
    store: Store, path: Path, clock: ManualClock
) -> None:
    """The lock is the object's, not the process's; what the first one does is not disturbed."""
    second = Store(path, clock)
    with pytest.raises(StoreInUseError):
        await second.open()
    await store.append(events(3))
    await store.close()

    await second.append(events(3, first=3))

    assert [without_id(event) for event in await all_events(second)] == events(6)
    await second.close()


async def test_closing_leaves_no_lock_file(store: Store, path: Path) -> None:
    """A closed store is one file."""
    await store.append(events(3))
    await store.close()

    assert [file.name for file in path.parent.iterdir()] == [path.name]


async def test_the_lock_is_taken_anew_in_a_folder_that_was_deleted(
    store: Store, path: Path, clock: ManualClock
) -> None:
    """A lock on a file that has no name any more would keep nobody off."""
    shutil.rmtree(path.parent)
    await store.append(events(3))
    second = Store(path, clock)

    with pytest.raises(StoreInUseError):
        await second.open()
    await second.close()


def test_a_lock_file_that_its_holder_deletes_meanwhile_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between opening and locking the file its former holder may delete it."""
    path = tmp_path / "homeiq.db"
    flock, calls = fcntl.flock, []

    def lock_late(descriptor: int, how: int) -> None:
        calls.append(how)
        path.with_name("homeiq.db.lock").unlink() if len(calls) == 1 else None
        flock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", lock_late)
    first, second = StoreLock(path), StoreLock(path)

    assert first.acquire()
    assert not first.acquire()
    with pytest.raises(StoreInUseError):
        second.acquire()
    first.release()
    assert second.acquire()
    second.release()
    second.release()


async def test_a_file_system_without_locks_is_used_as_before(
    path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Some network file systems refuse locks; that is told and no reason to store nothing."""

    def refuse(descriptor: int, how: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    store = Store(path, clock)

    assert await store.append(events(3)) == 3
    assert "cannot lock" in caplog.text
    await store.close()


async def test_a_lock_file_that_cannot_be_made_is_an_error_of_the_store(path: Path, clock: ManualClock) -> None:
    """A folder in the lock file's place is told as what it is, and passes."""
    lock = path.with_name("homeiq.db.lock")
    lock.mkdir(parents=True)
    store = Store(path, clock)
    with pytest.raises(StoreError) as refused:
        await store.open()
    lock.rmdir()

    await store.append(events(3))

    assert refused.value.placeholders["reason"] == "io_error"
    await store.close()


async def test_removing_the_store_removes_all_that_belongs_to_it(store: Store, path: Path) -> None:
    """Neither what a restore kept nor what one left behind stays when the entry is removed."""
    await store.append(events(3))
    await store.close()
    others = ["homeiq.db.before-restore-20260101T000000", "homeiq.db.restoring", "homeiq.db.restoring-wal", "other.db"]
    for name in others:
        path.with_name(name).write_bytes(b"x")

    remove_files(path)

    assert [file.name for file in path.parent.iterdir()] == ["other.db"]
