"""Answer questions about roll-ups: what is stored, and the silent buckets between, in which a state only went on."""

from collections.abc import Iterable, Iterator
from itertools import islice, pairwise, takewhile
import sqlite3
from typing import Any, Final

import orjson

from ..model import MAX_LIMIT, QueryError, RollUp, RollUpQuery, Span
from ._rollup_fold import as_number
from ._rollup_spans import END_US, FIRST_US, HOUR_US, SPAN_TO_CODE, Spans
from ._times import from_column, to_column

_SELECT: Final = """
SELECT start, until, events, changes, low, high, mean, rise, states, state FROM rollups WHERE entity = ? AND span = ?
"""


def check_rollup_query(query: RollUpQuery) -> None:
    """Raise QueryError, naming the field and the value, for a query that does not fit."""
    if not 1 <= query.limit <= MAX_LIMIT:
        raise QueryError(f"limit does not fit: {query.limit}", field="limit", value=str(query.limit))
    for field, value in (("start", query.start_us), ("end", query.end_us)):
        if not FIRST_US <= value <= END_US:
            raise QueryError(f"{field} does not fit: {value}", field=field, value=str(value))
    if query.end_us <= query.start_us:
        raise QueryError(f"end does not fit: {query.end_us}", field="end", value=str(query.end_us))


def read_rollups(connection: sqlite3.Connection, query: RollUpQuery, spans: Spans, until_us: int) -> list[RollUp]:
    """Return what the query asks for, by entity as asked (by id for all), then by time.

    ``until_us`` is up to when all roll-ups are stored, so that a bucket that is not stored is known to be silent.
    """
    found: list[RollUp] = []
    for entity, entity_id in _entities(connection, query.entity_ids):
        rows = _stored(connection, entity, entity_id, query)
        found += islice(_with_silent(rows, query, spans, until_us), query.limit - len(found))
        if len(found) == query.limit:
            break
    return found


def _entities(connection: sqlite3.Connection, wanted: tuple[str, ...] | None) -> list[tuple[int, str]]:
    if wanted is None:
        return connection.execute("SELECT id, key FROM entities ORDER BY key").fetchall()
    rows = connection.execute(
        "SELECT key, id FROM entities WHERE key IN (SELECT value FROM json_each(?))", (orjson.dumps(wanted).decode(),)
    )
    known: dict[str, int] = dict(rows.fetchall())
    return [(known[entity_id], entity_id) for entity_id in dict.fromkeys(wanted) if entity_id in known]


def _stored(connection: sqlite3.Connection, entity: int, entity_id: str, query: RollUpQuery) -> Iterator[RollUp]:
    """Yield the last roll-up before the range, if there is one, and those in it."""
    key = (entity, SPAN_TO_CODE[query.span])
    start, end = to_column(query.start_us), to_column(query.end_us)
    for where, values in (
        ("start < ? ORDER BY start DESC LIMIT 1", (start,)),
        ("start >= ? AND start < ? ORDER BY start", (start, end)),
    ):
        for row in connection.execute(f"{_SELECT} AND {where}", (*key, *values)):
            yield _decode(row, entity_id, query.span)


def _with_silent(rows: Iterable[RollUp], query: RollUpQuery, spans: Spans, until_us: int) -> Iterator[RollUp]:
    last: RollUp | None = None
    for stored in rows:
        if last is not None:
            yield from _silent(last, stored.start_us, query.start_us, spans)
        if stored.start_us >= query.start_us:
            yield stored
        last = stored
    if last is not None:
        silent = _silent(last, until_us, query.start_us, spans)
        yield from takewhile(lambda one: one.start_us < query.end_us, silent)


def _silent(last: RollUp, until_us: int, start_us: int, spans: Spans) -> Iterator[RollUp]:
    """Yield the buckets after a stored one that end by ``until_us`` and do not start before ``start_us``."""
    first_us = max(last.end_us, start_us)
    if last.state is None or first_us >= until_us:
        return
    for start, end in pairwise(spans.bounds(last.span, first_us, until_us)):
        if start >= first_us and end <= until_us:
            yield _going_on(last, start, end)


def _going_on(last: RollUp, start_us: int, end_us: int) -> RollUp:
    value = last.last
    return RollUp(
        entity_id=last.entity_id,
        span=last.span,
        start_us=start_us,
        end_us=end_us,
        events=0,
        changes=0,
        low=value,
        high=value,
        mean=value,
        last=value,
        rise=None if value is None else 0.0,
        states={} if value is not None or last.state is None else {last.state: (end_us - start_us) / 1e6},
        state=last.state,
    )


def _decode(row: tuple[Any, ...], entity_id: str, span: Span) -> RollUp:
    start, until, events, changes, low, high, mean, rise, states, state = row
    start_us = from_column(start)
    return RollUp(
        entity_id=entity_id,
        span=span,
        start_us=start_us,
        end_us=start_us + HOUR_US if until is None else from_column(until),
        events=events,
        changes=changes,
        low=low,
        high=high,
        mean=mean,
        last=None if state is None else as_number(state),
        rise=rise,
        states={} if states is None else {key: held / 1e6 for key, held in orjson.loads(states).items()},
        state=state,
    )
