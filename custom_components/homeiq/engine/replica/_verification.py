"""Read back a sample of what a server says that it has stored."""

import json
from typing import Final
from urllib.parse import urlencode

from ._batch import Batch
from ._connection import Connection
from ._delivery import Delivery
from ._detection import Server, detect
from ._encoding import check_line
from ._errors import InfluxError, Reason
from ._escaping import quoted
from ._settings import Layout

_REFUSED: Final = frozenset({401, 403})


class Verification:
    """Look for points by their exact time, in Flux where the server is an InfluxDB 2, else in InfluxQL.

    Every method may block and is called in a worker thread.
    """

    def __init__(self, delivery: Delivery) -> None:
        """Take the connection to read through."""
        self._delivery = delivery
        self._connection: Connection = delivery.connection
        self._has_flux: bool | None = None

    def find(self, batch: Batch) -> bool:
        """Return whether the newest point of a batch is there; raises InfluxError if that cannot be read."""
        newest = max(batch.lines, key=lambda line: line.time_us)
        return self._is_there(int(newest.text.rpartition(b" ")[2]), self._entity(newest.entity_id))

    def prove(self, now_ns: int) -> None:
        """Write a point and read it back; raises InfluxError, NOT_STORED if it is not there."""
        settings = self._connection.settings
        self._delivery.write(check_line(settings.home, now_ns))
        if not self._is_there(now_ns, None):
            raise settings.error(Reason.NOT_STORED, "the server took a point and does not have it")

    def _entity(self, entity_id: str | None) -> str | None:
        """Return an entity's tag ``entity_id``."""
        if entity_id is None or self._connection.settings.layout is Layout.LEAN:
            return entity_id
        return entity_id.partition(".")[2]

    def _is_there(self, time_ns: int, entity: str | None) -> bool:
        try:
            if self._has_flux is None:
                # Late: only a server that answers can say what it is.
                self._has_flux = detect(self._connection) is Server.INFLUXDB_2
            ask = self._ask_flux if self._has_flux else self._ask_influxql
            return ask(time_ns, entity)
        except InfluxError as err:
            if err.status in _REFUSED:
                words = err.placeholders["error"]
                raise self._connection.settings.error(Reason.NO_READ_ACCESS, words, status=err.status) from err
            raise

    def _ask_influxql(self, time_ns: int, entity: str | None) -> bool:
        tag = "" if entity is None else f" AND \"entity_id\" = '{quoted(entity, "'")}'"
        query = f"SELECT * FROM /.*/ WHERE time = {time_ns}{tag} LIMIT 1"
        settings = self._connection.settings
        answer = self._connection.ask("/query?" + urlencode({"db": settings.bucket, "q": query}))
        try:
            result = json.loads(answer.text)["results"][0]
        except (ValueError, KeyError, IndexError, TypeError) as err:
            raise settings.error(Reason.UNKNOWN, "the answer to a query is not InfluxDB's") from err
        if "error" in result:
            # InfluxQL reports a failed statement inside a 200.
            raise settings.error(Reason.UNKNOWN, str(result["error"]), status=answer.status)
        return bool(result.get("series"))

    def _ask_flux(self, time_ns: int, entity: str | None) -> bool:
        settings = self._connection.settings
        tag = "" if entity is None else f' |> filter(fn: (r) => r.entity_id == "{quoted(entity)}")'
        query = (
            f'from(bucket: "{quoted(settings.bucket)}")'
            f" |> range(start: time(v: {time_ns}), stop: time(v: {time_ns + 1})){tag} |> limit(n: 1)"
        )
        with self._connection.using() as client:
            return bool(client.query_api().query(query, org=settings.org))
