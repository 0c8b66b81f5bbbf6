"""Run the v2 face with its influxd as a child process, as the demo does, and talk to both from a test.

A process of its own: the test's loop, threads, sockets and interpreter lock have nothing to do with the server's.
"""

from collections.abc import Sequence
import json
import os
from pathlib import Path
import signal
import subprocess
import sys
from typing import NotRequired, TypedDict
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from .debian_servers import ServerStartError, ServersUnavailableError, server_binary

_PROGRAM = Path(__file__).with_name("influx_v2_face.py")
_TIMEOUT_S = 10.0

type Row = dict[str, str | float | bool | None]


class _Series(TypedDict):
    name: NotRequired[str]
    columns: list[str]
    values: list[list[str | float | bool | None]]


class _Result(TypedDict, total=False):
    error: str
    series: list[_Series]


class FaceStats(TypedDict):
    """Count writes as the face saw them."""

    writes: int
    gzipped: int
    bytes: int
    refused: int
    lines: list[int]


class FaceProcess:
    """Be an InfluxDB for a test: stopped and started again it has the same address, tokens and data."""

    token = "a-token-that-may-write"
    read_token = "a-token-that-may-read"
    org = "home"
    bucket = "homeiq"

    def __init__(self, folder: Path) -> None:
        """Take the folder for the data; raises ServersUnavailableError if influxd cannot be had."""
        server_binary("influxd")
        self._folder = folder
        self._process: subprocess.Popen[str] | None = None
        self._port = 0
        self._influxd_pid = 0
        self.influxql_url = ""

    @property
    def url(self) -> str:
        """Return the v2 API's base URL."""
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start both servers and wait until they answer; raises ServerStartError."""
        command = [sys.executable, str(_PROGRAM), "--json", "--dir", str(self._folder), "--port", str(self._port)]
        command += ["--token", self.token, "--read-token", self.read_token, "--org", self.org, "--bucket", self.bucket]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._process = process
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            self.stop()
            raise ServerStartError("the v2 face did not start; its reason is on stderr")
        facts = json.loads(line)
        self._port = int(facts["url"].rpartition(":")[2])
        self._influxd_pid = facts["influxd_pid"]
        self.influxql_url = facts["influxql_url"]

    def stop(self) -> None:
        """Stop both; they end by themselves, too, when the test's process does."""
        process, self._process = self._process, None
        if process is not None:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.close()
            process.wait(_TIMEOUT_S)
            process.stdout.close()

    def freeze(self) -> None:
        """Make influxd hang: requests are taken and never answered."""
        os.kill(self._influxd_pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let influxd go on; what it was sent meanwhile is carried out."""
        os.kill(self._influxd_pid, signal.SIGCONT)

    def fail_writes(
        self,
        status: int,
        *,
        count: int = 1,
        retry_after: str | None = None,
        after_storing: bool = False,
        body: str | None = None,
    ) -> None:
        """Let the next writes fail with a status; ``after_storing`` keeps the points and loses the answer."""
        fault = {
            "status": status,
            "count": count,
            "retry_after": retry_after,
            "after_storing": after_storing,
            "body": body,
        }
        self._open(f"{self.url}/face/fault", json.dumps(fault).encode())

    def behave(self, *, swallow: bool = False, max_body: int | None = None) -> None:
        """Take writes in another way from now on; without arguments as a sound server."""
        wanted = {"swallow": swallow, "max_body": max_body}
        self._open(f"{self.url}/face/behaviour", json.dumps(wanted).encode())

    def use_token(self, token: str) -> None:
        """Let the server take this token from now on and refuse the one before."""
        self._open(f"{self.url}/face/token", token.encode())

    def drop_bucket(self, name: str) -> None:
        """Delete a bucket with all that is in it."""
        self.influxql(f'DROP DATABASE "{name}"')

    def stats(self) -> FaceStats:
        """Return the counts of writes."""
        stats: FaceStats = json.loads(self._open(f"{self.url}/face/stats"))
        return stats

    def create_bucket(self, name: str) -> None:
        """Create an empty bucket."""
        self.influxql(f'CREATE DATABASE "{name}"')

    def influxql(self, statement: str, bucket: str = "") -> Sequence[Row]:
        """Run InfluxQL on influxd itself; return the rows of all series with times in nanoseconds and tags joined in."""
        form = urlencode({"db": bucket, "epoch": "ns", "q": statement}).encode()
        result: _Result = json.loads(self._open(f"{self.influxql_url}/query", form))["results"][0]
        if "error" in result:
            raise ValueError(result["error"])
        return [
            {"measurement": series.get("name", ""), **dict(zip(series["columns"], row, strict=True))}
            for series in result.get("series", [])
            for row in series["values"]
        ]

    def points(self, bucket: str) -> Sequence[Row]:
        """Return every point in a bucket."""
        return self.influxql("SELECT * FROM /.*/", bucket)

    def _open(self, url: str, data: bytes | None = None) -> bytes:
        with urlopen(Request(url, data), timeout=_TIMEOUT_S) as answer:  # noqa: S310
            body: bytes = answer.read()
            return body


__all__ = ["FaceProcess", "FaceStats", "Row", "ServersUnavailableError"]
