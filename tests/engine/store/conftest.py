"""Give the store's tests a store in a folder of its own, and see that no thread outlives a test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from homeiq_engine.store import Store
from tests.engine.store.samples import ManualClock
from tests.engine.store.threads import no_thread_left

__all__ = ["no_thread_left"]


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
