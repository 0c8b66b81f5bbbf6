"""Start the test server for the replica where it can be had, and count what a replica holds."""

import json
import select
import subprocess
import sys
from typing import Any, Self
from urllib.parse import urlencode
from urllib.request import urlopen

from .options import Influx
from .workspace import ROOT

_START_S = 20
_STOP_S = 10


class ReplicaUnavailableError(Exception):
    """Report why there is no test server."""


class ReplicaServer:
    """Hold the test server's process: InfluxDB 2's API before a real influxd."""

    def __init__(self) -> None:
        """Start it and read where it listens; raises ReplicaUnavailableError."""
        program = ROOT / "tests" / "servers" / "influx_v2_face.py"
        if not program.exists():
            raise ReplicaUnavailableError("the test server is not in this checkout")
        self._process = subprocess.Popen(
            [sys.executable, str(program), "--json"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        try:
            self.influx = self._read()
        except ReplicaUnavailableError:
            self.close()
            raise

    def __enter__(self) -> Self:
        """Return the running server."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Stop it."""
        self.close()

    def close(self) -> None:
        """Close its stdin, which ends it; kill it if it does not end within 10 s."""
        try:
            self._process.communicate(timeout=_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()

    def _read(self) -> Influx:
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], _START_S)
        line = self._process.stdout.readline() if ready else b""
        if not line:
            self._process.terminate()
            _, errors = self._process.communicate(timeout=_STOP_S)
            last = errors.decode(errors="replace").strip().splitlines()[-1:]
            raise ReplicaUnavailableError(last[0] if last else "it did not start")
        told = json.loads(line)
        return Influx(
            url=told["url"],
            token=told["token"],
            org=told["org"],
            bucket=told["bucket"],
            influxql_url=told.get("influxql_url"),
        )


def count_points(influx: Influx) -> int | None:
    """Return how many points the test server's bucket holds, None for any other server.

    Another's bucket may hold more than this run's points, and version 2 answers no InfluxQL without a mapping.
    Every point has a state, is marked as removed, or has a value: one of the three is counted per measurement.
    """
    if influx.influxql_url is None:
        return None
    query = urlencode({"db": influx.bucket, "q": "SELECT count(*) FROM /.*/"})
    with urlopen(f"{influx.influxql_url}/query?{query}", timeout=30) as answer:
        results = json.load(answer)["results"]
    return sum(_points(table) for result in results for table in result.get("series", []))


def _points(table: dict[str, list[Any]]) -> int:
    counts = dict(zip(table["columns"], table["values"][0], strict=True))
    by_field = {name: int(counts.get(f"count_{name}") or 0) for name in ("state", "removed", "value")}
    return max(by_field["state"] + by_field["removed"], by_field["value"])
