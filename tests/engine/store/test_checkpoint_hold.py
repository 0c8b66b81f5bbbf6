"""While checkpoints are held, a copy of the file and then of its log opens at a committed state."""

import asyncio
from pathlib import Path
import shutil
import time

import pytest

from homeiq_engine.model import StoreError
from homeiq_engine.store import CheckpointHold, Store, _checkpoint_hold
from tests.engine.store.samples import ManualClock, all_events, event, events, raw, without_id

COPIES = 25
_PIECES = 12


def _copy_slowly(path: Path, target: Path, seconds: float) -> None:
    """Copy the file in pieces over some time, and then its log, as a backup of a large folder does."""
    target.parent.mkdir()
    for suffix in ("", "-wal"):
        source = path.with_name(path.name + suffix)
        with source.open("rb") as reading, target.with_name(target.name + suffix).open("wb") as writing:
            size = source.stat().st_size // _PIECES + 1
            while piece := reading.read(size):
                writing.write(piece)
                time.sleep(seconds / _PIECES / 2)


def _held(copy: Path) -> int:
    """Return how many events a copy holds, of which none may be missing in the row."""
    assert raw(copy, "PRAGMA integrity_check") == [("ok",)]
    ids = [row[0] for row in raw(copy, "SELECT id FROM events ORDER BY id")]
    assert ids == list(range(1, len(ids) + 1))
    return len(ids)


async def test_copies_under_constant_writes_open_at_a_committed_state(store: Store, path: Path, tmp_path: Path) -> None:
    """25 of 25: each copy is sound and holds exactly the batches up to one of them, at least those from before it."""
    await store.append(events(2000, payload="x" * 100))
    hold = CheckpointHold(store)
    stored, stopped = 2000, asyncio.Event()

    async def write() -> None:
        nonlocal stored
        while not stopped.is_set():
            await store.append(events(100, first=stored, payload=str(stored) * 30))
            stored += 100
            await asyncio.sleep(0.02)

    writing = asyncio.ensure_future(write())
    found: list[tuple[int, int, int]] = []
    try:
        for number in range(COPIES):
            await hold.hold()
            before = stored
            copy = tmp_path / f"copy{number}" / "homeiq.db"
            await asyncio.to_thread(_copy_slowly, path, copy, 0.1)
            after = stored
            await hold.release()
            found.append((before, await asyncio.to_thread(_held, copy), after))
            shutil.rmtree(copy.parent)
    finally:
        stopped.set()
        await writing

    for before, held, after in found:
        assert before <= held <= after + 100
        assert (held - 2000) % 100 == 0
    # Every copy was made while something was being written.
    assert all(after > before for before, _, after in found)
    assert len(found) == COPIES
    assert not hold.held
    assert (await store.stats()).events == stored


async def test_the_file_stays_to_the_byte_also_when_the_store_is_opened_anew(store: Store, path: Path) -> None:
    """Neither many commits nor a fault that reopens the writer nor another program's checkpoint changes the file."""
    await store.append(events(3000))
    hold = CheckpointHold(store)
    await hold.hold()
    content = path.read_bytes()
    for number in range(10):
        await store.append([event(number, payload=f"{number}{'x' * 500}") for _ in range(1000)])
    with pytest.raises(ZeroDivisionError):
        await store.write(_fail)
    await store.append(events(1000))
    raw(path, "PRAGMA wal_checkpoint(PASSIVE)")

    unchanged = path.read_bytes() == content
    log = path.with_name("homeiq.db-wal").stat().st_size
    await hold.release()
    await store.close()

    assert unchanged
    assert log > 1_000_000
    assert path.stat().st_size > len(content)
    assert len(raw(path, "SELECT 1 FROM events")) == 14_000


async def _fail(writer: object) -> None:
    raise ZeroDivisionError


async def test_a_hold_ends_by_itself(store: Store) -> None:
    """Whoever asked for it may be gone: it ends after its longest time."""
    hold = CheckpointHold(store, longest_s=0.05)
    await hold.hold()
    held = hold.held
    await asyncio.sleep(0.3)

    assert (held, hold.held) == (True, False)


async def test_a_second_hold_begins_anew(store: Store, path: Path) -> None:
    """Held twice, what came in between is in the file, and one release ends it."""
    hold = CheckpointHold(store)
    await hold.hold()
    await store.append(events(100))
    await hold.hold()
    await store.append(events(100, first=100))

    copy = path.with_name("copy.db")
    copy.write_bytes(path.read_bytes())
    await hold.release()
    await hold.release()

    assert len(raw(copy, "SELECT 1 FROM events")) == 100


async def test_a_store_that_is_busy_for_long_is_told_and_not_held_later(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hold that is not there in time fails, and does not come when nobody waits for it any more."""
    monkeypatch.setattr(_checkpoint_hold, "HOLD_WITHIN_S", 0.1)
    free = asyncio.Event()

    async def wait(writer: object) -> None:
        await free.wait()

    busy = asyncio.ensure_future(store.write(wait))
    await asyncio.sleep(0.05)
    hold = CheckpointHold(store)
    with pytest.raises(StoreError) as late:
        await hold.hold()
    free.set()
    await busy
    await store.append(events(3))

    assert late.value.placeholders["reason"] == "locked"
    assert not hold.held


async def test_a_closed_store_cannot_be_held(path: Path, clock: ManualClock) -> None:
    """The error is the store's own."""
    store = Store(path, clock)
    await store.close()
    hold = CheckpointHold(store)

    with pytest.raises(StoreError) as closed:
        await hold.hold()

    assert closed.value.placeholders["reason"] == "closed"
    assert not hold.held


async def test_a_reader_from_before_does_no_harm(store: Store, path: Path, tmp_path: Path) -> None:
    """What a reader keeps in the log when the hold begins is in the copy of the log."""
    await store.append(events(10))
    async with store.reader() as reader:
        await reader.execute_fetchall("BEGIN")
        await reader.execute_fetchall("SELECT * FROM events")
        await store.append(events(10, first=10))
        hold = CheckpointHold(store)
        await hold.hold()
        await store.append(events(10, first=20))
        await asyncio.to_thread(_copy_slowly, path, tmp_path / "copy" / "homeiq.db", 0.01)
        await hold.release()

    copy = Store(tmp_path / "copy" / "homeiq.db", ManualClock())
    assert [without_id(one) for one in await all_events(copy)] == events(30)
    await copy.close()
