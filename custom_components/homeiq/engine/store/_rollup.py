"""Keep roll-ups up to date: which hours and days have new events, and what they come to.

An update first marks the buckets of all events that it has not seen (``rollup_due``; how far it has come is a row id in
``meta``), then computes the marked ones that have ended and writes them, each in one transaction with the removal of its
mark. Wherever it is interrupted, the next update goes on there. Late events are new events of an old bucket: it is
computed anew, and so are those after it, as long as what they begin with changes. A bucket of which raw rows were
deleted stays as it is.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from secrets import token_hex
import sqlite3
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

import aiosqlite
import orjson

from ..model import RollUp, RollUpQuery, Span, StoreError
from ._connection import transaction
from ._pace import Pace
from ._purging import ROLLUP_CURSOR, ROLLUP_TOKEN
from ._rollup_compute import COLUMNS, MARK_ROWS, Due, Step, compute, find_marks
from ._rollup_read import check_rollup_query, read_rollups
from ._rollup_spans import Spans
from ._snapshots import read_in_thread
from ._statements import insert_statements
from ._store import Store
from ._writing import put_meta

_UNTIL: Final = "rollup_until"
_ZONES: Final = "rollup_zones"
_STEP_BUCKETS: Final = 500
_TRIES: Final = 5


class _DisturbedError(Exception):
    """Say that the store is not the one any more that was read."""


class RollUps:
    """Sum up what each entity did in each hour and local day that has ended.

    All methods raise StoreError as the store's do.
    """

    def __init__(self, store: Store, time_zone: Callable[[], ZoneInfo]) -> None:
        """Take the store, and how to ask for the home's time zone, which may change."""
        self._store = store
        self._time_zone = time_zone
        self._lock = asyncio.Lock()
        self._pace = Pace(_STEP_BUCKETS)
        self._token = ""
        self._written = 0

    async def update(self, now_us: int) -> int:
        """Compute all buckets that have ended and have events that were not counted; return how many were written."""
        async with self._lock:
            self._written = 0
            for _ in range(_TRIES):
                try:
                    await self._update(now_us)
                except _DisturbedError:
                    continue
                return self._written
        raise StoreError("the store was changed again and again while it was rolled up", reason="locked")

    async def query(self, query: RollUpQuery) -> Sequence[RollUp]:
        """Return roll-ups by entity, then time; silent buckets, in which a state only went on, are among them.

        What has not been rolled up yet is left out. Raises QueryError for a query that does not fit.
        """
        check_rollup_query(query)

        def read(connection: sqlite3.Connection) -> Sequence[RollUp]:
            return read_rollups(connection, query, self._spans(connection), int(_meta(connection, _UNTIL) or 0))

        return await read_in_thread(self._store, read)

    async def bucket(self, span: Span, time_us: int) -> tuple[int, int]:
        """Return start and end (µs) of the hour or local day around a time."""
        spans = await read_in_thread(self._store, self._spans)
        return spans.bucket(span, time_us)

    async def _update(self, now_us: int) -> None:
        seen = await read_in_thread(self._store, partial(_look, zone=self._time_zone(), now_us=now_us))
        self._token = token_hex(8)
        await self._store.write(partial(_begin, token=self._token, zones=seen.spans.to_json()))
        for after in range(seen.cursor, seen.last_id, MARK_ROWS):
            upto = min(after + MARK_ROWS, seen.last_id)
            marks = await read_in_thread(self._store, partial(find_marks, spans=seen.spans, after=after, upto=upto))
            await self._mark(marks, upto)
        while steps := await read_in_thread(self._store, partial(compute, now_us=now_us)):
            await self._store_steps(steps)
        await self._write(partial(put_meta, name=_UNTIL, value=str(now_us)))

    async def _mark(self, marks: Sequence[Due], upto: int) -> None:
        rest = list(marks)
        while len(rest) > self._pace.rows:
            part, rest = rest[: self._pace.rows], rest[self._pace.rows :]
            await self._write(partial(_insert_marks, marks=part))

        async def last(writer: aiosqlite.Connection) -> None:
            await _insert_marks(writer, rest)
            await put_meta(writer, ROLLUP_CURSOR, str(upto))

        await self._write(last)

    async def _store_steps(self, steps: Sequence[Step]) -> None:
        rest = list(steps)
        while rest:
            part, rest = rest[: self._pace.rows], rest[self._pace.rows :]
            await self._write(partial(_write_steps, steps=part))
            self._written += sum(step.row is not None for step in part)

    def _spans(self, connection: sqlite3.Connection) -> Spans:
        return Spans.from_json(_meta(connection, _ZONES), self._time_zone())

    async def _write(self, work: Callable[[aiosqlite.Connection], Awaitable[None]]) -> None:
        """Do one step in a transaction, if the file still holds what was read; raises _DisturbedError if not.

        Purging an entity removes the token, and a file that was put in the place of another has another one or none.
        """

        async def step(writer: aiosqlite.Connection) -> None:
            async with transaction(writer):
                rows = await writer.execute_fetchall("SELECT value FROM meta WHERE name = ?", (ROLLUP_TOKEN,))
                if [row[0] for row in rows] != [self._token]:
                    raise _DisturbedError
                await work(writer)

        await self._pace.write(self._store.write, step)


class _Seen(NamedTuple):
    spans: Spans
    cursor: int
    last_id: int


def _look(connection: sqlite3.Connection, zone: ZoneInfo, now_us: int) -> _Seen:
    spans = Spans.from_json(_meta(connection, _ZONES), zone).moved_to(zone, now_us)
    (row,) = connection.execute("SELECT COALESCE(MAX(id), 0) FROM events")
    return _Seen(spans, int(_meta(connection, ROLLUP_CURSOR) or 0), int(row[0]))


def _meta(connection: sqlite3.Connection, name: str) -> str | None:
    return next((str(row[0]) for row in connection.execute("SELECT value FROM meta WHERE name = ?", (name,))), None)


async def _begin(writer: aiosqlite.Connection, token: str, zones: str) -> None:
    async with transaction(writer):
        await put_meta(writer, ROLLUP_TOKEN, token)
        await put_meta(writer, _ZONES, zones)


async def _insert_marks(writer: aiosqlite.Connection, marks: Sequence[Due]) -> None:
    await writer.execute(
        "INSERT OR IGNORE INTO rollup_due (entity, span, start, until)"
        " SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each(?)",
        (orjson.dumps(marks).decode(),),
    )


async def _write_steps(writer: aiosqlite.Connection, steps: Sequence[Step]) -> None:
    rows = [step.row for step in steps if step.row is not None]
    for sql, values in insert_statements("rollups", COLUMNS, rows, verb="INSERT OR REPLACE"):
        await writer.execute(sql, values)
    await writer.execute(
        "DELETE FROM rollup_due WHERE (entity, span, start) IN"
        " (SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(?))",
        (orjson.dumps([step.key for step in steps]).decode(),),
    )
    await _insert_marks(writer, [mark for step in steps for mark in step.marks])
