"""Write one batch of events in one transaction, with as few and as short holds of the GIL as can be.

``executemany`` gives the GIL up and asks for it back at every row. Beside a busy event loop each return waits for the
interpreter's switch interval (5 ms), so it keeps 136 rows/s where one multi-row INSERT of 500 rows keeps 35,000
(measured, 2 cores, Python 3.14). So rows travel in statements of many rows, see _statements.py.
"""

import asyncio
from collections.abc import Mapping, Sequence
from itertools import batched
import time
from typing import Final

import aiosqlite

from ..model import Event
from ._dimensions import Dimension, Dimensions
from ._rows import COLUMNS, BatchKeys, to_values
from ._statements import SqlValue, Statement, insert_statements

# 64 events take about 0.5 ms: the event loop never waits longer for the GIL than for one slice.
SLICE: Final = 64
_LAST_ROW_ID: Final = "last_row_id"


async def write_batch(
    connection: aiosqlite.Connection,
    dimensions: Dimensions,
    events: Sequence[Event],
    first_id: int,
    counters: Mapping[str, int],
) -> None:
    """Insert events with consecutive row ids from ``first_id`` inside the open transaction."""
    for dimension, (sql, values) in await asyncio.to_thread(_lookups, events, dimensions):
        dimension.remember((key, row_id) for key, row_id in await connection.execute_fetchall(sql, values))
    for sql, values in await asyncio.to_thread(_statements, events, first_id, dimensions):
        await connection.execute(sql, values)
    await add_counters(connection, counters)
    await set_last_row_id(connection, first_id + len(events) - 1)


async def set_last_row_id(connection: aiosqlite.Connection, row_id: int) -> None:
    """Note the highest row id that was given, inside the open transaction."""
    await put_meta(connection, _LAST_ROW_ID, str(row_id))


async def put_meta(connection: aiosqlite.Connection, name: str, value: str) -> None:
    """Remember a text under a name, inside the open transaction."""
    await connection.execute(
        "INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (name, value),
    )


async def add_counters(connection: aiosqlite.Connection, counters: Mapping[str, int]) -> None:
    """Add increments to the lifetime counters inside the open transaction."""
    for name, increment in counters.items():
        if increment:
            await connection.execute(
                "INSERT INTO counters (name, value) VALUES (?, ?)"
                " ON CONFLICT (name) DO UPDATE SET value = value + excluded.value",
                (name, increment),
            )


async def next_row_id(connection: aiosqlite.Connection) -> int:
    """Return the row id that was never given yet, also when the newest rows were deleted since."""
    (row,) = await connection.execute_fetchall(
        "SELECT MAX(COALESCE((SELECT MAX(id) FROM events), 0),"
        " COALESCE((SELECT CAST(value AS INTEGER) FROM meta WHERE name = ?), 0))",
        (_LAST_ROW_ID,),
    )
    return int(row[0]) + 1


def _lookups(events: Sequence[Event], dimensions: Dimensions) -> list[tuple[Dimension, Statement]]:
    keys = BatchKeys()
    for part in batched(events, SLICE, strict=False):
        keys.add(part)
        time.sleep(0)
    return [
        (dimension, statement)
        for dimension, wanted in keys.per_dimension(dimensions)
        for statement in dimension.lookups(wanted)
    ]


def _statements(events: Sequence[Event], first_id: int, dimensions: Dimensions) -> list[Statement]:
    rows: list[tuple[SqlValue, ...]] = []
    for part in batched(events, SLICE, strict=False):
        rows.extend(to_values(event, row_id, dimensions) for row_id, event in enumerate(part, first_id + len(rows)))
        time.sleep(0)
    return [*dimensions.staged(), *insert_statements("events", COLUMNS, rows)]
