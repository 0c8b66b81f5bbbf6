"""Put questions to a server through influxdb-client, in a worker thread, and say in one word what went wrong."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
import json
from typing import TYPE_CHECKING, Final

from ..model import Json, as_list, as_object
from ._connection import Connection, _short
from ._detection import Server, detect
from ._errors import InfluxError, Reason
from ._settings import InfluxSettings

if TYPE_CHECKING:
    from influxdb_client.client.influxdb_client import InfluxDBClient

TIMEOUT_S: Final = 60.0
"""Seconds until a question that is not answered has failed: a long history takes longer than a write."""

_FORM: Final = {
    "Content-Type": "application/x-www-form-urlencoded",
    "Accept": "application/json",
    "Accept-Encoding": "gzip",
}
_NO_DATABASE: Final = "database not found"


class Questions:
    """Put questions to one bucket; every method blocks and may raise InfluxError."""

    def __init__(self, connection: Connection, client: InfluxDBClient) -> None:
        """Take a connection and its client, open for as long as this is used."""
        self._connection = connection
        self._client = client
        self._settings = connection.settings

    def server(self) -> Server:
        """Return what answers."""
        return detect(self._connection)

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
def asking(settings: InfluxSettings, *, timeout_s: float = TIMEOUT_S) -> Iterator[Questions]:
    """Lend what asks one server and translate everything that its use raises into InfluxError."""
    connection = Connection(settings, timeout_s=timeout_s)
    try:
        with connection.using() as client:
            try:
                yield Questions(connection, client)
            except (ValueError, KeyError) as err:
                # A login page or a proxy answers 200 to everything.
                words = f"the answer is not InfluxDB's: {_short(str(err))}"
                raise settings.error(Reason.INVALID_URL, words) from err
    except InfluxError as err:
        if err.reason is Reason.NO_WRITE_ACCESS:
            raise settings.error(Reason.NO_READ_ACCESS, err.placeholders["error"], status=err.status) from err
        raise
    finally:
        connection.close()
