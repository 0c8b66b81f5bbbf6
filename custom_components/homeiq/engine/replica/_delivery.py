"""Carry encoded lines to the server through influxdb-client, in worker threads."""

from typing import Final
from urllib.parse import urlencode
import zlib

from ._client import load_client
from ._connection import TIMEOUT_S, Connection, server_words
from ._errors import Reason
from ._settings import InfluxSettings

PARTLY: Final = 201
"""The status with which some versions of InfluxDB 3 say that they have refused a part of the points."""

_EVERYTHING: Final = ("1900-01-01T00:00:00Z", "2200-01-01T00:00:00Z")
# Lines are alike: level 1 makes them ten times smaller in a sixth of the time that the client's own level 9 takes.
_LEVEL: Final = 1
_GZIP: Final = 31


class Delivery:
    """Write to and delete from one bucket; every method may block and is called in a worker thread."""

    def __init__(self, settings: InfluxSettings, *, timeout_s: float = TIMEOUT_S) -> None:
        """Take the connection and the seconds after which a request has failed."""
        self.connection = Connection(settings, timeout_s=timeout_s)
        self._settings = settings
        # Of the lines' times, see LineEncoder.
        self._precision = "ms" if settings.metrics_only else "ns"

    def write(self, body: bytes) -> int:
        """Deliver lines; return the compressed bytes that were sent, and only if the server says that it keeps all.

        Raises InfluxError.
        """
        load_client()
        from influxdb_client.service.write_service import WriteService  # noqa: PLC0415

        packed = zlib.compress(body, _LEVEL, _GZIP)
        with self.connection.using() as client:
            service = WriteService(client.api_client)  # type: ignore[no-untyped-call]
            _, status, _ = service.post_write_with_http_info(  # type: ignore[no-untyped-call]
                self._settings.org,
                self._settings.bucket,
                packed,
                precision=self._precision,
                content_encoding="gzip",
            )
            said = server_words(client.api_client.last_response.data)
        if status == PARTLY and said is not None:
            raise self._settings.error(Reason.UNKNOWN, f"{status}: {said}", status=status)
        if status != 204:
            # A login page or a proxy answers 200 to everything; taking that for an acknowledgement would lose events.
            raise self._settings.error(
                Reason.INVALID_URL, f"the answer was {status}, which is not InfluxDB's to a write", status=status
            )
        return len(packed)

    def delete(self, predicate: str) -> None:
        """Delete every point whose tags fit a predicate, ``tag="value" AND …``; raises InfluxError."""
        with self.connection.using() as client:
            client.delete_api().delete(*_EVERYTHING, predicate, bucket=self._settings.bucket, org=self._settings.org)

    def delete_metrics(self, selector: str) -> None:
        """Delete the series of a VictoriaMetrics that fit a selector, ``{tag="value"}``; raises InfluxError."""
        self.connection.ask("/api/v1/admin/tsdb/delete_series?" + urlencode({"match[]": selector}), method="POST")

    def close(self) -> None:
        """Let go of the connection: now, or when the request under way has ended."""
        self.connection.close()
