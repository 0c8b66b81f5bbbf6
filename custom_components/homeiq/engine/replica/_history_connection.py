"""Carry questions to the server through influxdb-client, in a worker thread, and say in one word what went wrong."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
import json
from typing import TYPE_CHECKING, Final

from ..model import Json, as_list, as_object
from ._delivery import _network_words, _server_words, _short
from ._errors import InfluxError, Reason
from ._settings import InfluxSettings

if TYPE_CHECKING:
    from influxdb_client.client.influxdb_client import InfluxDBClient
    from influxdb_client.rest import ApiException

TIMEOUT_S: Final = 60.0
"""Seconds until a question that is not answered has failed: a long history takes longer than a write."""

_FORM: Final = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
_NO_DATABASE: Final = "database not found"


class Connection:
    """Put questions to one bucket; every method blocks and may raise InfluxError."""

    def __init__(self, client: InfluxDBClient, settings: InfluxSettings) -> None:
        """Take a client, open for as long as this is used."""
        self._client = client
        self._settings = settings

    def influxql(self, statement: str) -> Sequence[Json]:
        """Return the series of one InfluxQL statement's answer, times in nanoseconds; raises ValueError for no answer.

        InfluxDB 1.x and 3.x serve ``/query``, and 2.x does where the bucket is mapped to a database. The client has no
        method for it, but its transport brings the token and the TLS settings.
        """
        settings = self._settings
        self._client.api_client.call_api(  # type: ignore[no-untyped-call]
            "/query",
            "POST",
            query_params=[("db", settings.bucket), ("org", settings.org), ("epoch", "ns")],
            header_params=dict(_FORM),
            post_params=[("q", statement)],
        )
        body = as_object(json.loads(self._client.api_client.last_response.data))
        (result,) = map(as_object, as_list(body["results"]))
        if (words := result.get("error")) is not None:
            reason = Reason.BUCKET_NOT_FOUND if _NO_DATABASE in str(words) else Reason.UNKNOWN
            raise settings.error(reason, _short(str(words)))
        return as_list(result.get("series", []))

    def flux(self, script: str) -> Iterator[Mapping[str, object]]:
        """Yield the records of a Flux script's answer; raises ValueError for no answer."""
        from influxdb_client.client.flux_csv_parser import (  # noqa: PLC0415
            FluxCsvParserException,
            FluxQueryException,
        )

        try:
            for record in self._client.query_api().query_stream(script, org=self._settings.org):
                yield record.values
        except FluxQueryException as err:
            raise self._settings.error(Reason.UNKNOWN, _short(str(err.message))) from err
        except (FluxCsvParserException, IndexError) as err:
            raise ValueError("the answer is no annotated CSV") from err


@contextmanager
def connect(settings: InfluxSettings, *, timeout_s: float = TIMEOUT_S) -> Iterator[Connection]:
    """Lend a connection and translate everything that its use raises into InfluxError."""
    # Imported late: the package is heavy and must not be imported on an event loop.
    from influxdb_client.client.influxdb_client import InfluxDBClient  # noqa: PLC0415
    from influxdb_client.rest import ApiException  # noqa: PLC0415
    from urllib3.exceptions import HTTPError, LocationValueError  # noqa: PLC0415

    settings.check()
    client = InfluxDBClient(
        settings.url,
        settings.token,
        org=settings.org,
        timeout=int(timeout_s * 1000),
        enable_gzip=True,
        verify_ssl=settings.verify_ssl,
    )
    try:
        yield Connection(client, settings)
    except ApiException as err:
        raise _refused(settings, err) from err
    except LocationValueError as err:
        raise settings.error(Reason.INVALID_URL, str(err)) from err
    except (HTTPError, OSError) as err:
        raise settings.error(Reason.CANNOT_CONNECT, _network_words(err)) from err
    except (ValueError, KeyError) as err:
        # A login page or a proxy answers 200 to everything.
        raise settings.error(Reason.INVALID_URL, f"the answer is not InfluxDB's: {_short(str(err))}") from err
    finally:
        client.close()  # type: ignore[no-untyped-call]


def _refused(settings: InfluxSettings, err: ApiException) -> InfluxError:
    """Translate an answer that is not 2xx."""
    status = int(err.status or 0)
    if not status:
        # The client reports TLS trouble as an answer with status 0.
        return settings.error(Reason.CANNOT_CONNECT, _short(str(err.reason)))
    said = _server_words(err.body)
    words = _short(said or str(err.reason or "no reason given"))
    return settings.error(_reason(status, said), f"{status}: {words}", status=status)


def _reason(status: int, said: str | None) -> Reason:
    """Return what a status means for reading."""
    if status in {401, 403}:
        return Reason.INVALID_AUTH
    if status == 404 and said is not None:
        return Reason.BUCKET_NOT_FOUND
    if status in {404, 405} or 300 <= status < 400:
        return Reason.INVALID_URL
    return Reason.CANNOT_CONNECT if status >= 500 or status == 429 else Reason.UNKNOWN
