"""The weekly check reads the whole file beside the writer, and says what is wrong."""

import asyncio
from pathlib import Path

import pytest

from homeiq_engine.model import StoreError
from homeiq_engine.store import Store, full_check
from homeiq_engine.store._connection import connect
from homeiq_engine.store._integrity import structure_check
from homeiq_engine.store._times import EPOCH_US
from tests.engine.store.samples import T0_US, ManualClock, events, raw


async def test_a_sound_store_has_no_fault_and_goes_on_being_written(store: Store) -> None:
    """Events are stored while it runs."""
    await store.append(events(5000))

    words, stored = await asyncio.gather(full_check(store), store.append(events(5, first=5000)))

    assert (words, stored) == (None, 5)


async def test_a_row_without_its_index_entry_is_found(path: Path, clock: ManualClock) -> None:
    """What the quick check at start does not look at: an index that is not in step with its table."""
    store = Store(path, clock)
    await store.append(events(20))
    await store.close()
    ((root,),) = raw(path, "SELECT rootpage FROM sqlite_master WHERE name = 'events'")
    content = bytearray(path.read_bytes())
    at = (T0_US + 7000 - EPOCH_US).to_bytes(6, signed=True)
    where = content.index(at, (root - 1) * 4096)
    content[where + 5] ^= 1
    path.write_bytes(content)
    store = Store(path, clock)

    words = await full_check(store)
    await store.close()

    assert where < root * 4096
    assert words is not None
    assert "missing from index" in words


async def test_damage_is_told_and_the_next_write_sets_the_file_aside(store: Store, path: Path) -> None:
    """Pages that make no sense: SQLite's words come back, and the store begins anew with the next write."""
    await store.append(events(5000))
    await store.write(_checkpoint)
    content = path.read_bytes()
    with path.open("r+b") as file:
        file.seek(4096 * 20)
        file.write(bytes(4096 * (len(content) // 4096 - 20)))

    words = await full_check(store)
    await store.append(events(3))

    assert words is not None
    assert len(store.set_aside) == 1
    assert (await store.stats()).events == 3


async def _checkpoint(writer: object) -> None:
    await writer.execute_fetchall("PRAGMA wal_checkpoint(TRUNCATE)")  # type: ignore[attr-defined]


async def test_a_cancelled_check_ends_at_once(store: Store) -> None:
    """Set-up of the day does not wait for it."""
    await store.append(events(20_000))
    task = asyncio.ensure_future(full_check(store))
    await asyncio.sleep(0.005)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_file_that_cannot_be_read_is_an_error(path: Path, clock: ManualClock) -> None:
    """No answer is not a sound file."""
    store = Store(path, clock)
    await store.close()

    with pytest.raises(StoreError):
        await full_check(store)


async def test_an_interrupted_check_gives_no_answer(store: Store, path: Path) -> None:
    """Only damage is a finding; any other trouble is raised."""
    await store.append(events(20_000))
    reader = await connect(path, read_only=True)
    await reader.set_progress_handler(lambda: 1, 10)

    with pytest.raises(Exception, match="interrupted"):
        await structure_check(reader)

    await reader.close()
    reader._thread.join()
