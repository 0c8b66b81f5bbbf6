"""Find out what a server is."""

from enum import StrEnum
import json

from ._connection import Answer, Connection
from ._errors import InfluxError


class Server(StrEnum):
    """Name the kinds of servers that take InfluxDB's v2 writes."""

    INFLUXDB_1 = "influxdb_1"
    INFLUXDB_2 = "influxdb_2"
    INFLUXDB_3 = "influxdb_3"
    VICTORIA_METRICS = "victoria_metrics"
    UNKNOWN = "unknown"


def detect(connection: Connection) -> Server:
    """Return what answers on a connection; raises InfluxError if nothing does."""
    ping = _said(connection, "/ping")
    version, build = ("", "") if ping is None else _version(ping)
    if not version:
        if _is_victoria(connection):
            return Server.VICTORIA_METRICS
        health = _said(connection, "/health")
        version = "" if health is None else _field(health.text, "version")
    for start, server in (("1.", Server.INFLUXDB_1), ("2.", Server.INFLUXDB_2), ("3.", Server.INFLUXDB_3)):
        if version.startswith(start):
            return server
    # InfluxDB Cloud tells no number.
    return Server.INFLUXDB_2 if "cloud" in build.lower() else Server.UNKNOWN


def _said(connection: Connection, path: str) -> Answer | None:
    """Return the answer for a path, None if it is refused; raises InfluxError if nobody answers at all."""
    try:
        return connection.ask(path)
    except InfluxError as err:
        if err.status is None:
            raise
        return None


def _is_victoria(connection: Connection) -> bool:
    """Return whether the server calls itself VictoriaMetrics: on its first page, or a cluster's in its metrics."""
    pages = (_said(connection, "/"), _said(connection, "/metrics"))
    return any(page is not None and ("VictoriaMetrics" in page.text or "vm_app_version" in page.text) for page in pages)


def _version(ping: Answer) -> tuple[str, str]:
    """Return the version without its v, and the build, as the headers or the body of /ping say."""
    version = ping.headers.get("x-influxdb-version") or _field(ping.text, "version")
    return version.removeprefix("v"), ping.headers.get("x-influxdb-build", "")


def _field(said: str, name: str) -> str:
    """Return a field of a JSON object as text, empty if there is none."""
    try:
        read = json.loads(said)
    except ValueError:
        return ""
    return str(read.get(name) or "").removeprefix("v") if isinstance(read, dict) else ""
