"""Answer event queries page by page."""

import asyncio
from collections.abc import Sequence
import json
from typing import Any, Final

import aiosqlite

from ..model import Event, EventPage, EventQuery, bad_query, check_query
from ._codes import KIND_TO_CODE, ORIGIN_TO_CODE
from ._rows import SELECT_EVENTS, from_row
from ._times import to_column

_INT64_MAX: Final = 2**63 - 1
# Codes up to these are not in the partial indexes events_by_kind and events_by_origin.
_COMMON_KIND: Final = 1
_COMMON_ORIGIN: Final = 0
# Rows that are looked at in some milliseconds; an entity of ten million events' home has 39,000 of its own.
_FEW: Final = 2_000


def check_question(query: EventQuery) -> tuple[int, int] | None:
    """Return the decoded cursor (time, row id); raises QueryError naming the field and the value that does not fit."""
    check_query(query)
    if query.cursor is None:
        return None
    time_us, _, row_id = query.cursor.partition("-")
    if not all(part.isascii() and part.isdecimal() and len(part) < 20 for part in (time_us, row_id)):
        raise bad_query("cursor", query.cursor)
    if max(position := (int(time_us), int(row_id))) > _INT64_MAX:
        raise bad_query("cursor", query.cursor)
    return position


async def read_page(connection: aiosqlite.Connection, query: EventQuery) -> EventPage:
    """Return one page in time order; raises QueryError for a query that does not fit."""
    cursor = check_question(query)
    where: list[str] = []
    values: list[object] = []

    def among(expression: str, wanted: Sequence[object]) -> None:
        where.append(f"{expression} IN ({','.join('?' * len(wanted))})")
        values.extend(wanted)

    origins = None if query.origins is None else [ORIGIN_TO_CODE[origin] for origin in query.origins]
    by_origin = origins is not None and min(origins, default=0) > _COMMON_ORIGIN
    if query.entity_ids is not None:
        by_origin = by_origin and await _are_few(connection, origins or ())
        # The + keeps SQLite from the index of entities.
        column = "+entity" if by_origin else "entity"
        ids = await _entity_row_ids(connection, query.entity_ids)
        if len(ids) == 1:
            # The index gives one entity's events in order, so that a page costs a page and not the entity's whole past.
            where.append(f"{column} = ?")
            values.extend(ids)
        else:
            among(column, ids)
    if query.start_us is not None:
        where.append("at >= ?")
        values.append(to_column(query.start_us))
    if query.end_us is not None:
        where.append("at < ?")
        values.append(to_column(query.end_us))
    if query.kinds is not None:
        kinds = [KIND_TO_CODE[kind] for kind in query.kinds]
        among("kind", kinds)
        if query.entity_ids is None and min(kinds, default=0) > _COMMON_KIND:
            # The index of rare kinds serves only a query that says so; beside entities, theirs is the better one.
            where.append(f"kind > {_COMMON_KIND:d}")
    if origins is not None:
        among("origin", origins)
        if by_origin:
            where.append(f"origin > {_COMMON_ORIGIN:d}")
    if cursor is not None:
        where.append(f"(at, id) {'<' if query.newest_first else '>'} (?, ?)")
        values += [to_column(cursor[0]), cursor[1]]
    order = "DESC" if query.newest_first else "ASC"
    # The page is chosen before anything is joined to it.
    chosen = (
        f"SELECT id FROM events {'WHERE ' + ' AND '.join(where) if where else ''}"
        f" ORDER BY at {order}, id {order} LIMIT ?"
    )
    sql = f"{SELECT_EVENTS} WHERE e.id IN ({chosen}) ORDER BY e.at {order}, e.id {order}"
    rows = list(await connection.execute_fetchall(sql, [*values, query.limit + 1]))
    events = await decode_rows(rows[: query.limit])
    more = len(rows) > query.limit
    return EventPage(events=events, next_cursor=f"{events[-1].time_us}-{events[-1].id}" if more else None)


async def _are_few(connection: aiosqlite.Connection, origins: Sequence[int]) -> bool:
    """Return whether rare origins have so few events that looking at all of them beats an entity's whole past."""
    marks = ",".join("?" * len(origins))
    (row,) = await connection.execute_fetchall(
        "SELECT COUNT(*) FROM (SELECT 1 FROM events"
        f" WHERE origin IN ({marks}) AND origin > {_COMMON_ORIGIN:d} LIMIT {_FEW + 1:d})",
        tuple(origins),
    )
    return int(row[0]) <= _FEW


async def decode_rows(rows: Sequence[Sequence[Any]]) -> tuple[Event, ...]:
    """Return the events of some rows of SELECT_EVENTS, decoded in a thread: 10,000 take 50 ms."""
    return await asyncio.to_thread(lambda: tuple(map(from_row, rows)))


async def _entity_row_ids(connection: aiosqlite.Connection, entity_ids: Sequence[str]) -> list[int]:
    """Return the row ids of the entities that the store knows."""
    rows = await connection.execute_fetchall(
        "SELECT id FROM entities WHERE key IN (SELECT value FROM json_each(?))", (json.dumps(list(entity_ids)),)
    )
    return [row[0] for row in rows]
