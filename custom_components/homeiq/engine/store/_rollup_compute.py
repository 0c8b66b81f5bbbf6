"""Find the buckets that are due and compute their roll-ups from raw: synchronous, read-only, for a worker thread.

Many rows come as the JSON text of one row: SQLite gives the GIL up at every row that it hands over, and beside a busy
event loop each return waits for the interpreter's switch interval.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import groupby
import sqlite3
import time
from typing import Final, NamedTuple

import orjson

from ..model import EventKind, Span
from ._codes import KIND_TO_CODE
from ._rollup_fold import NOTHING, Closing, Figures, Fold, Row
from ._rollup_spans import END_US, FIRST_US, SPAN_TO_CODE, Spans
from ._rows import STATE_JOIN
from ._times import EPOCH_US, to_column

# Row ids looked at, and raw rows read, at a time: 400 take one to three milliseconds of the GIL.
MARK_ROWS: Final = 5_000
_PAGE: Final = 400
# A chunk is one snapshot of the store; the write-ahead log cannot start over while it is read.
_CHUNK_BUCKETS: Final = 2_000
_CHUNK_ROWS: Final = 100_000
_SLOT_US: Final = 900_000_000

type Key = tuple[int, int, int]
type Due = tuple[int, int, int, int]
type RollUpRow = tuple[int | float | str | None, ...]

COLUMNS: Final = (
    *("entity", "span", "start", "until"),
    *Figures._fields,
    *Closing._fields,
    "last_event",
)

_MARKS: Final = f"""
SELECT json_group_array(json_array(entity, slot)) FROM (
    SELECT DISTINCT entity, (at + {EPOCH_US:d}) / {_SLOT_US:d} AS slot FROM events
    WHERE id > ? AND id <= ? AND entity IS NOT NULL
      AND at >= {to_column(FIRST_US):d} AND at < {to_column(END_US):d}
)
"""
_FINISHED: Final = "SELECT entity, span, start, until FROM rollup_due WHERE until <= ?"
_RAW: Final = f"""
SELECT json_group_array(json_array(id, at, is_state, changed, state)) FROM (
    SELECT e.id AS id, e.at AS at, e.kind = {KIND_TO_CODE[EventKind.STATE]:d} AS is_state,
           e.state IS NOT e.old_state AS changed, CAST(COALESCE(s.key, e.state) AS TEXT) AS state
    FROM rollup_due AS d
    CROSS JOIN events AS e ON e.entity = d.entity AND e.at >= max(d.start, :at) AND e.at < d.until
    {STATE_JOIN}
    WHERE d.entity = :entity AND d.span = :span AND d.start >= :first AND d.start <= :last
      AND (e.at > :at OR e.id > :id)
    ORDER BY d.start, e.at, e.id
    LIMIT {_PAGE:d}
)
"""
_STORED: Final = "SELECT start, events, last_event, state, number, peak FROM rollups WHERE entity = ? AND span = ?"


class Step(NamedTuple):
    """Hold what is to be written of one bucket: its row, if it has a new one, and the buckets that are due in turn."""

    key: Key
    row: RollUpRow | None
    marks: list[Due]


class _Stored(NamedTuple):
    start: int
    events: int
    last_event: int
    closing: Closing


def find_marks(connection: sqlite3.Connection, spans: Spans, after: int, upto: int) -> list[Due]:
    """Return the buckets of both spans that events with ids in (after, upto] are in."""
    (row,) = connection.execute(_MARKS, (after, upto))
    by_slot: dict[int, set[int]] = {}
    for entity, slot in orjson.loads(row[0]):
        by_slot.setdefault(slot, set()).add(entity)
    if not by_slot:
        return []
    marks: set[Due] = set()
    for span, code in SPAN_TO_CODE.items():
        bounds = spans.bounds(span, min(by_slot) * _SLOT_US, (max(by_slot) + 1) * _SLOT_US - 1)
        for slot, entities in by_slot.items():
            # A bucket may end within the slot, in zones of long ago; one bucket too many is no harm.
            ends = slot * _SLOT_US, (slot + 1) * _SLOT_US - 1
            for index in {bisect_right(bounds, end) - 1 for end in ends}:
                start, until = to_column(bounds[index]), to_column(bounds[index + 1])
                marks.update((entity, code, start, until) for entity in entities)
    return sorted(marks)


def compute(connection: sqlite3.Connection, now_us: int) -> list[Step]:
    """Compute the first of the due buckets that have ended, in the order of entity, span, time; [] if there are none."""
    steps: list[Step] = []
    rows_read = 0
    due = connection.execute(
        f"{_FINISHED} ORDER BY entity, span, start LIMIT {_CHUNK_BUCKETS:d}", (to_column(now_us),)
    ).fetchall()
    for _, group in groupby(due, key=lambda mark: (mark[0], mark[1])):
        walk = _Walk(connection, list(group))
        steps += walk.run(_CHUNK_ROWS - rows_read)
        rows_read += walk.rows_read
        if rows_read >= _CHUNK_ROWS:
            break
    return steps


class _Walk:
    """Go through the due buckets of one entity and span, and the stored ones between them, in the order of time."""

    def __init__(self, connection: sqlite3.Connection, due: Sequence[Due]) -> None:
        self._connection = connection
        self._due = due
        self._entity, self._span, self._first, _ = due[0]
        self.rows_read = 0
        before = self._read("start < ? ORDER BY start DESC LIMIT 1", self._first)
        # What is stored now, and what it will be.
        self._old = self._new = before[0].closing if before else NOTHING
        # Where the two began to differ: whoever goes on from there is marked with that step, should the next never come.
        self._origin: Step | None = None
        self._steps: list[Step] = []

    def run(self, rows: int) -> list[Step]:
        """Return the steps of these buckets, or of the first of them if they have more raw rows than that."""
        last = self._due[-1][2]
        stored = iter([*self._read("start >= ? AND start <= ? ORDER BY start", self._first, last), *self._after(last)])
        other = next(stored, None)
        buckets = self._buckets()
        for mark, pages in buckets:
            while other is not None and other.start < mark[2]:
                self._pass(other)
                other = next(stored, None)
            known = other if other is not None and other.start == mark[2] else None
            if known is not None:
                other = next(stored, None)
            self._compute(mark, pages, known)
            if self.rows_read >= rows:
                break
        if other is not None:
            self._pass(other)
        return self._steps

    def _compute(self, mark: Due, pages: Iterator[list[Row]], known: _Stored | None) -> None:
        """Compute one bucket, unless some of the raw rows that its roll-up has counted are gone."""
        entity, span, start, until = mark
        fold = Fold(start, until, self._new)
        found = 0
        for rows in pages:
            fold.feed(rows)
            if known is not None:
                found += sum(row[0] <= known.last_event for row in rows)
        step = Step((entity, span, start), None, [])
        self._steps.append(step)
        if known is not None and found < known.events:
            self._old = self._new = known.closing
        elif fold.events:
            figures, closing = fold.close()
            end = None if span == SPAN_TO_CODE[Span.HOUR] else until
            step = Step(step.key, (*mark[:3], end, *figures, *closing.to_row(), fold.last_event), step.marks)
            self._steps[-1] = step
            self._old = known.closing if known is not None else self._old
            self._new = closing
        if self._old == self._new:
            self._origin = None
        elif self._origin is None:
            self._origin = step

    def _pass(self, other: _Stored) -> None:
        """Leave a stored bucket that is not due, but mark it if it began with what is no longer so."""
        if self._origin is not None:
            self._origin.marks.append(self._mark(other.start))
            self._origin = None
        self._old = self._new = other.closing

    def _mark(self, start: int) -> Due:
        row = self._connection.execute(
            "SELECT COALESCE(until, start + 3600000000) FROM rollups WHERE entity = ? AND span = ? AND start = ?",
            (self._entity, self._span, start),
        ).fetchone()
        return self._entity, self._span, start, int(row[0])

    def _buckets(self) -> Iterator[tuple[Due, Iterator[list[Row]]]]:
        """Yield each due bucket with its raw rows; the rows must be taken before the next bucket is asked for."""
        pages = self._pages()
        page: list[Row] = next(pages, [])
        for mark in self._due:

            def rows(until: int) -> Iterator[list[Row]]:
                nonlocal page
                while page:
                    if page[-1][1] < until:
                        yield page
                        page = next(pages, [])
                        continue
                    cut = bisect_right(page, until - 1, key=lambda row: row[1])
                    if cut:
                        yield page[:cut]
                        page = page[cut:]
                    return

            yield mark, rows(mark[3])

    def _pages(self) -> Iterator[list[Row]]:
        position = {"entity": self._entity, "span": self._span, "last": self._due[-1][2]}
        at, row_id, first = self._first, 0, 0
        while True:
            while first + 1 < len(self._due) and self._due[first + 1][2] <= at:
                first += 1
            values = position | {"first": self._due[first][2], "at": at, "id": row_id}
            (row,) = self._connection.execute(_RAW, values)
            page: list[Row] = orjson.loads(row[0])
            if not page:
                return
            self.rows_read += len(page)
            yield page
            # Lets the event loop have the GIL.
            time.sleep(0)
            row_id, at = page[-1][:2]

    def _after(self, last: int) -> list[_Stored]:
        return self._read("start > ? ORDER BY start LIMIT 1", last)

    def _read(self, where: str, *values: int) -> list[_Stored]:
        rows = self._connection.execute(f"{_STORED} AND {where}", (self._entity, self._span, *values))
        return [_Stored(row[0], row[1], row[2], Closing.from_row(*row[3:])) for row in rows]
