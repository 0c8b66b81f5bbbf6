"""Ask for points in InfluxQL (InfluxDB 1.x, 3.x) and read the answers of ``/query``."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from ..model import EventQuery, Json, as_list, as_object, as_text, as_whole
from ._history_points import (
    OTHERS,
    TAGS,
    TEXTS,
    Part,
    Point,
    Span,
    is_ours,
    kind_of,
    read_point,
    tag_as_written as as_written,
    wanted_ids,
)

SHOW_MEASUREMENTS: Final = "SHOW MEASUREMENTS"
PROBE: Final = "SELECT * FROM homeiq_state LIMIT 1"
"""Fails in a database that is missing, which SHOW MEASUREMENTS (1.6.7) takes for an empty one."""

_LEAST_SHARE: Final = 100
_ESCAPED: Final = str.maketrans({"\\": r"\\", "'": r"\'", '"': r"\"", "\n": r"\n"})
_COLUMNS: Final = (
    *((name, "string") for name in TEXTS),
    *OTHERS,
    *((name, "tag") for name in TAGS),
)

type Ask = Callable[[str], Sequence[Json]]


class InfluxQLHistory:
    """Read spans of one home's points; ``ask`` sends a statement and returns the series of its answer."""

    def __init__(self, ask: Ask, query: EventQuery, home: str) -> None:
        """Take what is looked for."""
        self._ask = ask
        self._query = query
        self._home = home
        self._measurements: Sequence[str] | None = None

    def read(self, span: Span) -> Part:
        """Return points from the span's beginning on; may block. Raises InfluxError and, for a bad answer, ValueError.

        LIMIT counts per measurement, so every measurement is asked for a share; the first whose share was too small
        sets the horizon.
        """
        if self._measurements is None:
            names = _names(self._ask(SHOW_MEASUREMENTS))
            if not names:
                self._ask(PROBE)
            self._measurements = _chosen(names, self._query)
        if not self._measurements:
            return Part(points=(), horizon=None)
        count = len(self._measurements)
        share = span.most if count == 1 else max(_LEAST_SHARE, 2 * span.most // count)
        points: list[Point] = []
        horizon: int | None = None
        for answer in map(as_object, self._ask(select(self._measurements, self._query, self._home, span, share))):
            rows = as_list(answer["values"])
            measurement = as_text(answer["name"])
            names = [as_text(name) for name in as_list(answer["columns"])]
            time_ns = 0
            for row in rows:
                columns: Mapping[str, Json] = dict(zip(names, as_list(row), strict=True))
                time_ns = as_whole(columns["time"])
                if (point := read_point(measurement, time_ns, columns)) is not None:
                    points.append(point)
            # A server may also cut an answer at a limit of its own.
            if rows and (len(rows) >= share or answer.get("partial")):
                horizon = time_ns if horizon is None else _nearer(horizon, time_ns, newest_first=span.newest_first)
        return Part(points=tuple(points), horizon=horizon)


def select(measurements: Iterable[str], query: EventQuery, home: str, span: Span, most: int) -> str:
    """Return the statement for a span: ``most`` rows of each measurement."""
    where = [
        f"time >= {span.first_ns}",
        f"time <= {span.last_ns}",
        f'"home" = {text(as_written(home))}',
        # Points of other layouts in the same bucket have none.
        "\"origin\" != ''" if query.origins is None else _any("origin", [origin.value for origin in query.origins]),
    ]
    ids = wanted_ids(query)
    if ids is not None:
        where.append(_any("entity_id", ids))
    columns = ", ".join(f"{identifier(name)}::{kind}" for name, kind in _COLUMNS)
    tables = ", ".join(identifier(name) for name in measurements)
    order = "DESC" if span.newest_first else "ASC"
    return f"SELECT {columns} FROM {tables} WHERE {' AND '.join(where)} ORDER BY time {order} LIMIT {most}"


def text(value: str) -> str:
    """Return a string literal; nothing in the value can end it."""
    return f"'{value.translate(_ESCAPED)}'"


def identifier(name: str) -> str:
    """Return a quoted identifier; nothing in the name can end it."""
    return f'"{name.translate(_ESCAPED)}"'


def _any(tag: str, values: Iterable[str]) -> str:
    return f"({' OR '.join(f'{identifier(tag)} = {text(value)}' for value in values)})"


def _names(series: Sequence[Json]) -> Sequence[str]:
    return [as_text(as_list(row)[0]) for one in series for row in as_list(as_object(one)["values"])]


def _chosen(names: Iterable[str], query: EventQuery) -> Sequence[str]:
    """Return the measurements that can hold what is asked for."""
    kinds = query.kinds
    ids = wanted_ids(query)
    domains = None if ids is None else {entity_id.partition(".")[0] for entity_id in ids}
    return sorted(
        name
        for name in names
        if is_ours(name)
        and (kinds is None or kind_of(name) in kinds)
        and (domains is None or name in domains or name.startswith("homeiq_"))
    )


def _nearer(one: int, other: int, *, newest_first: bool) -> int:
    return max(one, other) if newest_first else min(one, other)
