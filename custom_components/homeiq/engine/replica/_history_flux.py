r"""Ask for points in Flux (InfluxDB 2.x) and read the records that influxdb-client makes of the annotated CSV.

The script gives two results. ``events`` holds one row per point, fields as columns. In annotated CSV an empty string
looks like an absent one, so ``empty`` lists which string fields are there and empty. Each table is cut before it is
pivoted: whatever belongs to the first rows of all is among the first rows of its own table.

The server ends CSV lines with CR LF and writes a line break inside a value in the same way, without any other CR: a
text's ``\n`` comes back, its ``\r`` does not.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from ..model import EventKind, EventQuery
from ._history_points import (
    KIND_OF,
    TAGS,
    TEXTS,
    Part,
    Span,
    digest,
    kind_of,
    read_point,
    tag_as_written as as_written,
    wanted_ids,
)

_ESCAPED: Final = str.maketrans(
    {chr(code): f"\\x{code:02x}" for code in range(32)} | {"\\": r"\\", '"': r"\"", "$": r"\x24", "\x7f": r"\x7f"}
)

type Record = Mapping[str, object]
type Ask = Callable[[str], Iterable[Record]]


class FluxHistory:
    """Read spans of one home's points; ``ask`` sends a script and returns the records of its answer."""

    def __init__(self, ask: Ask, query: EventQuery, home: str, bucket: str) -> None:
        """Take what is looked for, and where."""
        self._ask = ask
        self._query = query
        self._home = home
        self._bucket = bucket

    def read(self, span: Span) -> Part:
        """Return points from the span's beginning on; may block. Raises InfluxError and, for a bad answer, ValueError."""
        rows: list[tuple[int, str, Record]] = []
        empty: set[tuple[int, str, str]] = set()
        for record in self._ask(script(self._bucket, self._query, self._home, span)):
            measurement, time_ns = record.get("_measurement"), record.get("ns")
            if not isinstance(measurement, str) or not isinstance(time_ns, int):
                raise ValueError("a record has no measurement or no time")  # noqa: TRY004 - the server's fault
            if record.get("result") == "empty":
                empty.add((time_ns, digest(measurement, record), str(record.get("_field"))))
            else:
                rows.append((time_ns, measurement, record))
        points = [
            point
            for time_ns, measurement, record in rows
            if (point := read_point(measurement, time_ns, _completed(time_ns, measurement, record, empty))) is not None
        ]
        return Part(points=tuple(points), horizon=_last(rows, span) if len(rows) >= span.most else None)


def script(bucket: str, query: EventQuery, home: str, span: Span) -> str:
    """Return the script for a span: its first ``most`` rows, and the string fields in them that are empty."""
    cut = "tail" if span.newest_first else "limit"
    order = f'sort(columns: ["_time"], desc: {"true" if span.newest_first else "false"})'
    dated = "map(fn: (r) => ({r with ns: int(v: r._time)}))"
    texts = " or ".join(f"r._field == {text(name)}" for name in TEXTS)
    conditions = "\n".join(f"  |> filter(fn: (r) => {condition})" for condition in _conditions(query, home))
    return f"""\
found = from(bucket: {text(bucket)})
  |> range(start: time(v: {span.first_ns}), stop: time(v: {span.last_ns + 1}))
{conditions}
found
  |> {cut}(n: {span.most})
  |> pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value")
  |> group()
  |> {order}
  |> limit(n: {span.most})
  |> {dated}
  |> drop(columns: ["_start", "_stop", "_time"])
  |> yield(name: "events")
found
  |> filter(fn: (r) => {texts})
  |> filter(fn: (r) => r._value == "")
  |> {cut}(n: {span.most})
  |> group(columns: ["_field"])
  |> {order}
  |> limit(n: {span.most})
  |> {dated}
  |> drop(columns: ["_start", "_stop", "_time", "_value"])
  |> yield(name: "empty")
"""


def text(value: str) -> str:
    """Return a string literal; nothing in the value can end it or be evaluated in it."""
    return f'"{value.translate(_ESCAPED)}"'


def _conditions(query: EventQuery, home: str) -> Iterable[str]:
    """Yield what a point must fulfil."""
    if (kinds := query.kinds) is not None:
        named = [f"r._measurement == {text(name)}" for name, kind in KIND_OF.items() if kind in kinds]
        if EventKind.STATE in kinds:
            others = " and ".join(
                f"r._measurement != {text(name)}" for name in KIND_OF if kind_of(name) is not EventKind.STATE
            )
            named.append(f"({others})")
        yield " or ".join(named)
    yield f"r.home == {text(as_written(home))}" if home else "not exists r.home"
    # Points of other layouts in the same bucket have no origin.
    yield "exists r.origin" if query.origins is None else _any("origin", [origin.value for origin in query.origins])
    if (ids := wanted_ids(query)) is not None:
        yield _any("entity_id", ids)


def _any(tag: str, values: Iterable[str]) -> str:
    return " or ".join(f"r.{tag} == {text(value)}" for value in values)


def _completed(time_ns: int, measurement: str, record: Record, empty: set[tuple[int, str, str]]) -> Record:
    """Return a record with line breaks as they were, and with its empty strings."""
    series = digest(measurement, record)
    return {
        name: "" if (time_ns, series, name) in empty else _unbroken(record.get(name))
        for name in (*TAGS, *TEXTS, "held", "removed", "value")
    }


def _unbroken(value: object) -> object:
    return value.replace("\r\n", "\n") if isinstance(value, str) else value


def _last(rows: Iterable[tuple[int, str, Record]], span: Span) -> int:
    times = [time_ns for time_ns, _, _ in rows]
    return min(times) if span.newest_first else max(times)
