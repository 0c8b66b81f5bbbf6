"""A replica that is away while the writing process is killed again and again gets every event, and each once."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
import json
from pathlib import Path
import subprocess
import sys
import threading
import time
from typing import Any

import pytest

from _bench.replica.compare import compare
from tests.engine.store.samples import raw
from tests.servers.face_process import FaceProcess

_HOME = Path(__file__).with_name("home_process.py")
_PATIENCE_S = 90.0


@dataclass(slots=True)
class _Home:
    """Follow what a home's process tells."""

    process: subprocess.Popen[str]
    told: dict[str, Any]

    def until(self, field: str, least: int) -> None:
        """Wait until a figure has come so far; raises TimeoutError."""
        deadline = time.monotonic() + _PATIENCE_S
        while self.told.get(field, 0) < least:
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise TimeoutError(f"{field} is not {least}: {self.told}")
            time.sleep(0.01)


@contextmanager
def _home(path: Path, influx: FaceProcess, rate: int, last: int) -> Iterator[_Home]:
    """Run a home that stores numbered events up to ``last`` and kill it at the end, wherever it is."""
    job = {
        "path": str(path),
        "url": influx.url,
        "org": influx.org,
        "bucket": influx.bucket,
        "token": influx.token,
        "rate": rate,
        "last": last,
    }
    with subprocess.Popen([sys.executable, str(_HOME), json.dumps(job)], stdout=subprocess.PIPE, text=True) as process:
        home = _Home(process, {})

        def read() -> None:
            assert process.stdout is not None
            for line in process.stdout:
                if line.endswith("\n"):
                    home.told = json.loads(line)

        reader = threading.Thread(target=read)
        reader.start()
        try:
            yield home
        finally:
            process.kill()
            reader.join()


def _drill(path: Path, folder: Path, *, events: int, rate: int, kills: int) -> None:
    """Store events, most of them while the server is away, kill the home meanwhile, then let it catch up and compare."""
    influx = FaceProcess(folder)
    influx.start()
    part = events // (kills + 2)
    try:
        with _home(path, influx, rate, events) as home:
            home.until("cursor", part // 2)
            influx.stop()
            home.until("stored", part)
        confirmed = home.told["stored"]
        for number in range(2, kills + 1):
            with _home(path, influx, rate, events) as home:
                home.until("stored", number * part)
            assert home.told["stored"] >= confirmed
            confirmed = home.told["stored"]
        with _home(path, influx, rate, events) as home:
            home.until("stored", events)
            influx.start()
            # Killed with a request under way, most likely: what was delivered without word of it is delivered again.
            home.until("cursor", home.told["cursor"] + 1)
        with _home(path, influx, rate, events) as home:
            home.until("cursor", events)
        differences = compare(path, influx, influx.bucket, events)
    finally:
        influx.stop()

    assert raw(path, "SELECT COUNT(*), MIN(id), MAX(id) FROM events") == [(events, 1, events)]
    assert raw(path, "SELECT COUNT(*) FROM events WHERE state <> CAST(id AS TEXT)") == [(0,)]
    assert differences.events == events
    assert (differences.lost, differences.duplicates, differences.dead_letters) == (0, 0, 0)


@pytest.mark.server
def test_a_replica_that_was_away_while_the_home_was_killed_holds_every_event_once(
    path: Path, tmp_path: Path, socket_enabled: None
) -> None:
    _drill(path, tmp_path / "influx", events=8_000, rate=2_000, kills=2)


@pytest.mark.slow
@pytest.mark.server
def test_ten_minutes_of_200_events_a_second_reach_a_replica_that_was_away(
    path: Path, tmp_path: Path, socket_enabled: None
) -> None:
    """As many events as ten minutes have, sent twenty times as fast, and ten kills."""
    _drill(path, tmp_path / "influx", events=120_000, rate=4_000, kills=10)
