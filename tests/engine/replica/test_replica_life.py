"""The replica starts, follows a changed or failing store, and ends cleanly at any moment."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
import time

import pytest

from homeiq_engine.model import Event, StoreError
from homeiq_engine.replica import InfluxSettings, ReplicaState
from homeiq_engine.store import Follower, Store
from tests.servers.face_process import FaceProcess

from .conftest import WallClock
from .driving import Log, Swapped, caught_up, cursor, make_replica, running, states, until
from .samples import state_events

pytestmark = pytest.mark.server


async def test_stopping_does_not_wait_for_a_server_that_hangs(
    store: Store, settings: InfluxSettings, influx: FaceProcess
) -> None:
    """Stop takes less than a second; the batch that was under way is delivered again and is there once."""
    await store.append(state_events(100))
    replica = make_replica(store, settings, timeout_s=5)
    writes = influx.stats()["writes"]
    influx.freeze()
    try:
        task = asyncio.create_task(replica.run())
        await until(lambda: influx.stats()["writes"] > writes)
        started = time.monotonic()
        await replica.stop()
        took = time.monotonic() - started
        await task
    finally:
        influx.thaw()
    assert took < 1
    assert (replica.stats.state, await cursor(store)) == (ReplicaState.STOPPED, 0)

    again = make_replica(store, settings)
    async with running(again):
        await caught_up(again, 100)
    assert states(influx, settings) == [str(number) for number in range(100)]


async def test_a_store_begun_anew_is_followed_from_its_start(
    store: Store, settings: InfluxSettings, influx: FaceProcess, tmp_path: Path
) -> None:
    """After a damaged file was set aside row ids start again; its events are not taken for old ones."""
    source = Swapped(store)
    fresh = Store(tmp_path / "fresh.db", WallClock())
    await store.append(state_events(100))
    await fresh.append(state_events(150, first=100))
    replica = make_replica(source, settings)
    async with running(replica):
        await caught_up(replica, 100)
        source.store = fresh
        replica.notify()
        await caught_up(replica, 150)
    await fresh.close()

    assert states(influx, settings) == [str(number) for number in range(250)]


async def test_a_cursor_beyond_the_store_starts_over(
    store: Store, settings: InfluxSettings, influx: FaceProcess, influx_log: Log
) -> None:
    """A cursor that was saved into a new store by the last moment of an old one misleads nobody."""
    await store.append(state_events(10))
    await Follower(store, "replica-1").rewind(999)
    replica = make_replica(store, settings)
    async with running(replica):
        await until(lambda: replica.stats.sent == 10)

    assert len(influx.points(settings.bucket)) == 10
    assert [record.getMessage() for record in influx_log] == [
        "The store is not the one that the replica flat 1 followed: it starts over"
    ]


class _Failing(Swapped):
    """Be a source whose reading fails so many times."""

    def __init__(self, store: Store, errors: Sequence[Exception]) -> None:
        super().__init__(store)
        self._errors = list(errors)

    async def events_after(self, row_id: int, limit: int) -> Sequence[Event]:
        """Fail, or read the store."""
        if self._errors:
            raise self._errors.pop(0)
        return await self.store.events_after(row_id, limit)


@pytest.mark.parametrize(
    ("error", "traced"),
    [(StoreError("the disk is gone"), False), (RuntimeError("what is this"), True), (KeyError(), True)],
)
async def test_a_source_that_fails_is_asked_again(
    store: Store, settings: InfluxSettings, influx_log: Log, error: Exception, traced: bool
) -> None:
    """Not even an error that nobody foresaw ends the replica; it is warned of once, with a traceback if unforeseen."""
    await store.append(state_events(10))
    replica = make_replica(_Failing(store, [error] * 3), settings)
    async with running(replica):
        await caught_up(replica, 10)

    assert replica.stats.sent == 10
    assert [(record.levelname, bool(record.exc_info)) for record in influx_log] == [
        ("WARNING", traced),
        ("INFO", False),
    ]


class _Hanging(Swapped):
    """Be a source that never answers."""

    async def last_row_id(self) -> int:
        """Hang."""
        await asyncio.Event().wait()
        return 0


async def test_a_source_that_hangs_does_not_hold_up_the_stop(store: Store, settings: InfluxSettings) -> None:
    """After a second the task is cancelled."""
    replica = make_replica(_Hanging(store), settings)
    task = asyncio.create_task(replica.run())
    await asyncio.sleep(0)
    started = time.monotonic()

    await replica.stop()

    assert 0.9 < time.monotonic() - started < 2
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_cancelling_the_task_ends_it_cleanly(store: Store, settings: InfluxSettings, influx: FaceProcess) -> None:
    """Home Assistant cancels background tasks at its end, also with a request under way."""
    await store.append(state_events(10))
    replica = make_replica(store, settings, timeout_s=2)
    writes = influx.stats()["writes"]
    influx.freeze()
    try:
        task = asyncio.create_task(replica.run())
        await until(lambda: influx.stats()["writes"] > writes)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    finally:
        influx.thaw()
    await replica.stop()

    assert replica.stats.state is ReplicaState.STOPPED


async def test_a_replica_that_was_stopped_first_does_not_run(store: Store, settings: InfluxSettings) -> None:
    """An unload that overtakes the set-up leaves nothing behind."""
    replica = make_replica(store, settings)
    await replica.stop()

    await replica.run()

    assert (replica.stats.state, replica.stats.sent) == (ReplicaState.STOPPED, 0)


async def test_figures_before_the_first_run_are_the_stores(store: Store, settings: InfluxSettings) -> None:
    """The lag is known before anything was sent."""
    await store.append(state_events(10))
    await Follower(store, "replica-1").rewind(4)
    replica = make_replica(store, settings)

    stats = await replica.fresh_stats()
    await replica.stop()

    assert (stats.state, stats.cursor, stats.lag_events) == (ReplicaState.STARTING, 4, 6)
