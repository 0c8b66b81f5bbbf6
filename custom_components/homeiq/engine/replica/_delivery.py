"""Carry encoded lines to the server through influxdb-client, in worker threads, and say in one word what went wrong."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
import json
from math import isfinite
import threading
from typing import TYPE_CHECKING, Final

from ._encoding import check_line
from ._errors import InfluxError, Reason
from ._settings import InfluxSettings

if TYPE_CHECKING:
    from influxdb_client.client.influxdb_client import InfluxDBClient
    from influxdb_client.rest import ApiException

TIMEOUT_S: Final = 10.0
"""Seconds until a request that is not answered has failed."""

_EVERYTHING: Final = ("1900-01-01T00:00:00Z", "2200-01-01T00:00:00Z")
_WORDS: Final = 300
_REASONS: Final = {401: Reason.INVALID_AUTH, 403: Reason.NO_WRITE_ACCESS, 405: Reason.INVALID_URL}


async def check_connection(settings: InfluxSettings) -> None:
    """Prove that the bucket takes points from this token by writing one; raises InfluxError.

    The point (measurement ``homeiq_check``) is the only proof there is: a health check needs no token, and a token that
    may see a bucket need not be allowed to write to it.
    """
    await asyncio.to_thread(_check, settings)


def _check(settings: InfluxSettings) -> None:
    delivery = Delivery(settings)
    try:
        delivery.write(check_line(settings.home))
    finally:
        delivery.close()


class Delivery:
    """Write to and delete from one bucket; every method may block and is called in a worker thread.

    The client is made on first use, for importing it takes about a second.
    """

    def __init__(self, settings: InfluxSettings, *, timeout_s: float = TIMEOUT_S) -> None:
        """Take the connection and the seconds after which a request has failed."""
        self._settings = settings
        self._timeout_ms = int(timeout_s * 1000)
        self._lock = threading.Lock()
        self._client: InfluxDBClient | None = None
        self._in_use = 0
        self._closed = False

    def write(self, body: bytes) -> None:
        """Deliver lines with nanosecond times; returns only if the server says that it keeps them all.

        Raises InfluxError.
        """
        # Imported late: the package is heavy and must not be imported on an event loop.
        from influxdb_client.client.write_api import SYNCHRONOUS  # noqa: PLC0415

        with self._using() as client:
            # The client's own precision is nanoseconds, which is the encoder's.
            client.write_api(write_options=SYNCHRONOUS).write(self._settings.bucket, self._settings.org, body)
            status = client.api_client.last_response.status
        if status != 204:
            # A login page or a proxy answers 200 to everything; taking that for an acknowledgement would lose events.
            raise self._settings.error(
                Reason.INVALID_URL, f"the answer was {status}, which is not InfluxDB's to a write", status=status
            )

    def delete(self, entity_id: str) -> None:
        """Delete every point of an entity; raises InfluxError."""
        quoted = entity_id.replace("\\", "\\\\").replace('"', '\\"')
        with self._using() as client:
            client.delete_api().delete(
                *_EVERYTHING, f'entity_id="{quoted}"', bucket=self._settings.bucket, org=self._settings.org
            )

    def close(self) -> None:
        """Let go of the connection: now, or when the request under way has ended."""
        with self._lock:
            self._closed = True
            self._dispose_if_idle()

    @contextmanager
    def _using(self) -> Iterator[InfluxDBClient]:
        """Lend the client and translate everything that it raises."""
        from influxdb_client.rest import ApiException  # noqa: PLC0415
        from urllib3.exceptions import HTTPError, LocationValueError  # noqa: PLC0415

        client = self._enter()
        try:
            yield client
        except ApiException as err:
            raise self._refused(err) from err
        except LocationValueError as err:
            raise self._settings.error(Reason.INVALID_URL, str(err)) from err
        except (HTTPError, OSError) as err:
            raise self._settings.error(Reason.CANNOT_CONNECT, _network_words(err)) from err
        except ValueError as err:
            # An answer that is not text, a host name that is none.
            raise self._settings.error(Reason.UNKNOWN, _short(str(err))) from err
        finally:
            with self._lock:
                self._in_use -= 1
                self._dispose_if_idle()

    def _enter(self) -> InfluxDBClient:
        """Return the client, made on first use; raises InfluxError."""
        from influxdb_client.client.influxdb_client import InfluxDBClient  # noqa: PLC0415

        settings = self._settings
        settings.check()
        with self._lock:
            if self._closed:
                raise settings.error(Reason.UNKNOWN, "the connection is closed")
            if self._client is None:
                self._client = InfluxDBClient(
                    settings.url,
                    settings.token,
                    org=settings.org,
                    timeout=self._timeout_ms,
                    enable_gzip=True,
                    verify_ssl=settings.verify_ssl,
                )
            self._in_use += 1
            return self._client

    def _dispose_if_idle(self) -> None:
        """Close the client once it is neither wanted nor used; the lock is held."""
        if self._closed and not self._in_use and self._client is not None:
            self._client.close()  # type: ignore[no-untyped-call]
            self._client = None

    def _refused(self, err: ApiException) -> InfluxError:
        """Translate an answer that is not 2xx."""
        status = int(err.status or 0)
        if not status:
            # The client reports TLS trouble as an answer with status 0.
            return self._settings.error(Reason.CANNOT_CONNECT, _short(str(err.reason)))
        said = _server_words(err.body)
        words = _short(said or str(err.reason or "no reason given"))
        return self._settings.error(
            _reason(status, is_influx=said is not None),
            f"{status}: {words}",
            status=status,
            retry_after=_retry_after(err.retry_after),
        )


def _reason(status: int, *, is_influx: bool) -> Reason:
    """Return what a status means for the connection."""
    if status == 404:
        # Organisation and bucket are told apart by the server's words only; any other web server says 404 in HTML.
        return Reason.BUCKET_NOT_FOUND if is_influx else Reason.INVALID_URL
    if 300 <= status < 400:
        return Reason.INVALID_URL
    if status >= 500:
        return Reason.CANNOT_CONNECT
    return _REASONS.get(status, Reason.UNKNOWN)


def _server_words(body: str | bytes | None) -> str | None:
    """Return what InfluxDB says in its JSON errors (2.x ``message``, 1.x ``error``), None if it is not InfluxDB."""
    try:
        said = json.loads(body or "")
    except ValueError:
        return None
    if not isinstance(said, dict):
        return None
    words = said.get("message") or said.get("error")
    return str(words) if words else None


def _network_words(err: Exception) -> str:
    """Return what the network said, without urllib3's object addresses."""
    text = str(err)
    return _short(text.rpartition(">: ")[2] or type(err).__name__)


def _short(text: str) -> str:
    """Return one line that fits a log and a form."""
    line = " ".join(text.split())
    return line if len(line) <= _WORDS else line[: _WORDS - 1] + "…"


def _retry_after(value: str | None) -> float | None:
    """Return the seconds of a Retry-After header; a date there is rare and leaves it to the ordinary back-off."""
    try:
        seconds = float(value or "")
    except ValueError:
        return None
    return seconds if isfinite(seconds) and seconds >= 0 else None
