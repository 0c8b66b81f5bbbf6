"""Make and run a replica in a test, wait for what it should do and read what has arrived."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
import logging
from typing import Any

from homeiq_engine.replica import Backoff, InfluxSettings, Replica, ReplicaSource
from homeiq_engine.store import Follower, Store
from tests.servers.face_process import FaceProcess, Row

from .conftest import WallClock

QUICK = Backoff(first=0.05, longest=0.2, refused=0.2)
type Log = list[logging.LogRecord]


class Swapped:
    """Be a source whose store can be exchanged, as a damaged file is."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def __getattr__(self, name: str) -> object:
        return getattr(Follower(self.store, "replica-1"), name)


def make_replica(
    source: Store | ReplicaSource,
    settings: InfluxSettings,
    *,
    backoff: Backoff = QUICK,
    idle_s: float = 60.0,
    timeout_s: float = 10.0,
    **more: Any,
) -> Replica:
    """Return a replica that does not wait long after a failure and rests for a minute when idle."""
    return Replica(
        Follower(source, "replica-1") if isinstance(source, Store) else source,
        settings, WallClock(), title="flat 1", backoff=backoff, idle_s=idle_s, timeout_s=timeout_s, **more,
    )  # fmt: skip


async def cursor(store: Store) -> int | None:
    """Return the cursor of the replica."""
    return await Follower(store, "replica-1").cursor()


def events(influx: FaceProcess, settings: InfluxSettings) -> Sequence[Row]:
    """Return every stored point but those of connection checks."""
    return [point for point in influx.points(settings.bucket) if point["measurement"] != "homeiq_check"]


def states(influx: FaceProcess, settings: InfluxSettings, entity_id: str | None = None) -> list[str]:
    """Return every stored state in the order of time, or those of one entity."""
    points = sorted(events(influx, settings), key=lambda point: int(point["time"] or 0))
    return [str(point["state"]) for point in points if entity_id is None or point["entity_id"] == entity_id]


@asynccontextmanager
async def running(replica: Replica) -> AsyncIterator[None]:
    """Run a replica and stop it at the end."""
    task = asyncio.create_task(replica.run())
    try:
        yield
    finally:
        await replica.stop()
        await task


async def until(true: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait until something is true; raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.01)


async def caught_up(replica: Replica, row_id: int) -> None:
    """Wait until the server has acknowledged a row."""
    await until(lambda: replica.stats.cursor == row_id)
