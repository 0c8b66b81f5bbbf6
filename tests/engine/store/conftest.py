"""Give the store's tests a store in a folder of its own, and see that no thread outlives a test."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
import threading

import pytest

from homeiq_engine.store import Store
from tests.engine.store.samples import ManualClock


@pytest.fixture(autouse=True)
def no_thread_left() -> Iterator[None]:
    """Fail a test that leaves a thread of SQLite behind."""
    before = set(threading.enumerate())
    yield
    left = [thread for thread in set(threading.enumerate()) - before if "connection_worker" in thread.name]
    assert left == []


@pytest.fixture
def clock() -> ManualClock:
    """Return a clock that stands still."""
    return ManualClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where the store's file will be."""
    return tmp_path / "homeiq" / "homeiq.db"


@pytest.fixture
async def store(path: Path, clock: ManualClock) -> AsyncIterator[Store]:
    """Return an open, empty store."""
    store = Store(path, clock)
    await store.open()
    yield store
    await store.close()
