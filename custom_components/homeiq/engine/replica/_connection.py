"""Lend influxdb-client's client to worker threads and translate everything that it raises."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
import json
from math import isfinite
import threading
from typing import TYPE_CHECKING, Final, NamedTuple

from ._client import load_client
from ._errors import InfluxError, Reason
from ._settings import InfluxSettings

if TYPE_CHECKING:
    from influxdb_client.client.influxdb_client import InfluxDBClient
    from influxdb_client.rest import ApiException

TIMEOUT_S: Final = 10.0
"""Seconds until a request that is not answered has failed."""

_WORDS: Final = 300
# With these InfluxDB refuses points, and says why in JSON.
_VERDICTS: Final = frozenset({400, 422})
_REASONS: Final = {401: Reason.INVALID_AUTH, 403: Reason.NO_WRITE_ACCESS, 405: Reason.INVALID_URL}


class Answer(NamedTuple):
    """Hold an answer of 2xx: status, headers by their names in lower case, and text."""

    status: int
    headers: Mapping[str, str]
    text: str


class Connection:
    """Hold one client; every method may block and is called in a worker thread.

    The client is made on first use, for importing it takes about a second.
    """

    def __init__(self, settings: InfluxSettings, *, timeout_s: float = TIMEOUT_S) -> None:
        """Take where to and the seconds after which a request has failed."""
        self.settings = settings
        self._timeout_ms = int(timeout_s * 1000)
        self._lock = threading.Lock()
        self._client: InfluxDBClient | None = None
        self._in_use = 0
        self._closed = False

    def ask(self, path: str, *, method: str = "GET", json_body: Mapping[str, str] | None = None) -> Answer:
        """Ask for a path that influxdb-client has no API for, with the token; raises InfluxError."""
        # The client would write a body of another type than JSON as it is; there is none then.
        kind = "text/plain" if json_body is None else "application/json"
        headers = {"Authorization": f"Token {self.settings.token}", "Content-Type": kind}
        with self.using() as client:
            url = f"{client.api_client.configuration.host}{path}"
            body: str | Mapping[str, str] = "" if json_body is None else json_body
            read = client.api_client.rest_client.request(  # type: ignore[no-untyped-call]
                method, url, headers=headers, body=body
            )
            return Answer(read.status, {name.lower(): said for name, said in read.getheaders().items()}, read.data)

    def close(self) -> None:
        """Let go of the connection: now, or when the request under way has ended."""
        with self._lock:
            self._closed = True
            self._dispose_if_idle()

    @contextmanager
    def using(self) -> Iterator[InfluxDBClient]:
        """Lend the client and translate everything that it raises."""
        load_client()
        from influxdb_client.rest import ApiException  # noqa: PLC0415
        from urllib3.exceptions import HTTPError, LocationValueError  # noqa: PLC0415

        client = self._enter()
        try:
            yield client
        except ApiException as err:
            raise self._refused(err) from err
        except LocationValueError as err:
            raise self.settings.error(Reason.INVALID_URL, str(err)) from err
        except (HTTPError, OSError) as err:
            raise self.settings.error(Reason.CANNOT_CONNECT, _network_words(err)) from err
        except ValueError as err:
            # An answer that is not text, a host name that is none.
            raise self.settings.error(Reason.UNKNOWN, _short(str(err))) from err
        finally:
            with self._lock:
                self._in_use -= 1
                self._dispose_if_idle()

    def _enter(self) -> InfluxDBClient:
        """Return the client, made on first use; raises InfluxError."""
        from influxdb_client.client.influxdb_client import InfluxDBClient  # noqa: PLC0415

        settings = self.settings
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
                    verify_ssl=settings.verify_ssl,
                    ssl_context=settings.ssl_context(),
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
            return self.settings.error(Reason.CANNOT_CONNECT, _short(str(err.reason)))
        said = server_words(err.body)
        headers: Mapping[str, str] = err.headers or {}
        words = said or _short(str(err.reason or "no reason given"))
        return self.settings.error(
            _reason(status, is_influx=said is not None or self.settings.metrics_only),
            f"{status}: {words}",
            status=status,
            retry_after=_retry_after(err.retry_after, headers.get("Date")),
        )


def _reason(status: int, *, is_influx: bool) -> Reason:
    """Return what a status means for the connection."""
    if status == 404:
        # Organisation and bucket are told apart by the server's words only; any other web server says 404 in HTML.
        return Reason.BUCKET_NOT_FOUND if is_influx else Reason.INVALID_URL
    if 300 <= status < 400 or (status in _VERDICTS and not is_influx):
        # A proxy's own refusal says nothing about the points.
        return Reason.INVALID_URL
    if status >= 500:
        return Reason.CANNOT_CONNECT
    return _REASONS.get(status, Reason.UNKNOWN)


def server_words(body: str | bytes | None) -> str | None:
    """Return what InfluxDB says in its JSON errors in one short line, None if it is not InfluxDB.

    Version 2 has ``message``, 1 has ``error``, 3 has the first refused line's own words in ``data``.
    """
    try:
        said = json.loads(body or "")
    except ValueError:
        return None
    if not isinstance(said, dict) or not (words := said.get("message") or said.get("error")):
        return None
    lines = said.get("data")
    first = lines[0] if isinstance(lines, list) and lines else None
    detail = first.get("error_message") if isinstance(first, dict) else None
    return _short(f"{words}: {detail}" if detail else str(words))


def _network_words(err: Exception) -> str:
    """Return what the network said, without urllib3's object addresses."""
    text = str(err)
    return _short(text.rpartition(">: ")[2] or type(err).__name__)


def _short(text: str) -> str:
    """Return one line that fits a log and a form."""
    line = " ".join(text.split())
    return line if len(line) <= _WORDS else line[: _WORDS - 1] + "…"


def _retry_after(value: str | None, date: str | None = None) -> float | None:
    """Return the seconds of a Retry-After header, which holds them or a time; that counts from the answer's own Date."""
    try:
        seconds = float(value or "")
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(value or "") - parsedate_to_datetime(date or "")).total_seconds()
        except ValueError, TypeError:
            return None
    return seconds if isfinite(seconds) and seconds >= 0 else None
