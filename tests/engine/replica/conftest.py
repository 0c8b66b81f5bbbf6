"""Give the replica's tests an InfluxDB, a bucket each, a real store, and events to put into it."""

from collections.abc import AsyncIterator, Iterator
from itertools import count
import logging
from pathlib import Path
import time
from typing import override

import pytest

from homeiq_engine.replica import InfluxSettings
from homeiq_engine.store import Store
from tests.servers.debian_servers import (
    DebianServer,
    ServersUnavailableError,
    VictoriaMetrics,
    free_port,
    server_binary,
)
from tests.servers.face_process import FaceProcess

_BUCKETS = count(1)


class WallClock:
    """Tell the real time."""

    def now_us(self) -> int:
        """Return microseconds UTC."""
        return time.time_ns() // 1000

    def monotonic(self) -> float:
        """Return seconds."""
        return time.monotonic()


@pytest.fixture
def settings(influx: FaceProcess) -> InfluxSettings:
    """Return a connection to an empty bucket of this test's own."""
    bucket = f"bucket-{next(_BUCKETS)}"
    influx.create_bucket(bucket)
    return InfluxSettings(url=influx.url, org=influx.org, bucket=bucket, token=influx.token, home="flat 1")


@pytest.fixture
def clock() -> WallClock:
    """Return the real time."""
    return WallClock()


@pytest.fixture
async def store(tmp_path: Path, clock: WallClock) -> AsyncIterator[Store]:
    """Return an open, empty store."""
    store = Store(tmp_path / "homeiq.db", clock)
    await store.open()
    yield store
    await store.close()


@pytest.fixture
def victoria(tmp_path: Path, socket_enabled: None) -> Iterator[DebianServer]:
    """Run a real VictoriaMetrics for one test."""
    try:
        server_binary("victoria-metrics")
    except ServersUnavailableError as err:
        pytest.skip(str(err))
    server = VictoriaMetrics(tmp_path / "victoria", free_port())
    server.start()
    yield server
    server.stop()


class _Records(logging.Handler):
    """Keep records; pytest's own handler drops what is below the configured level."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    @override
    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest.fixture
def influx_log() -> Iterator[list[logging.LogRecord]]:
    """Return the growing list of what the replica logs, from INFO up."""
    handler, logger = _Records(), logging.getLogger("homeiq_engine.replica")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield handler.records
    logger.setLevel(logging.NOTSET)
    logger.removeHandler(handler)
