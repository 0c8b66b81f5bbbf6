"""Delete events: the old ones in small steps, one entity's everywhere at once."""

from collections.abc import Mapping, Sequence
import re
import sqlite3
from typing import Final, NamedTuple

import aiosqlite
import orjson

from ._connection import transaction
from ._times import to_column
from ._writing import add_counters

STEP_ROWS: Final = 2_000
PURGED: Final = "**PURGED**"
# Who computes roll-ups puts a token here, and writes nothing once it is gone.
ROLLUP_TOKEN: Final = "rollup_token"  # noqa: S105 - no secret
UNREPLICATED: Final = "unreplicated"
# Up to which row id all events are known to the roll-ups, but for the buckets in rollup_due.
ROLLUP_CURSOR: Final = "rollup_cursor"
_REFERENCES: Final = {
    "payloads": ("payload",),
    "facts": ("facts",),
    "texts": ("state", "old_state", "name"),
}  # Whether events were deleted, and who they leave behind has not been looked for yet.
_ORPHANED: Final = "orphaned"

# Those of some events that are old enough and counted in a roll-up of their hour and their day. What was found to be
# so before is looked at again: roll-ups may have come to be due, or the file to be another one.
_ROLLED_UP: Final = f"""
e.id IN (SELECT value FROM json_each(:ids)) AND e.at < :before
AND e.id <= COALESCE((SELECT CAST(value AS INTEGER) FROM meta WHERE name = '{ROLLUP_CURSOR}'), 0)
AND NOT EXISTS (
    SELECT 1 FROM rollup_due AS d WHERE d.entity = e.entity AND d.span IN (0, 1) AND d.start <= e.at AND d.until > e.at
)
"""

type Position = tuple[int, int]


class Orphans(NamedTuple):
    """Name rows of a table that no event up to ``last_event`` refers to."""

    table: str
    ids: Sequence[int]
    last_event: int


async def purge_step(connection: aiosqlite.Connection, before_us: int) -> int:
    """Delete up to 2,000 events older than ``before_us`` in one transaction; return how many went."""
    async with transaction(connection):
        cursor = await connection.execute(
            "DELETE FROM events WHERE id IN (SELECT id FROM events WHERE at < ? ORDER BY at LIMIT ?)",
            (to_column(before_us), STEP_ROWS),
        )
        await add_counters(connection, {"purged": cursor.rowcount})
    return cursor.rowcount


def find_old(
    connection: sqlite3.Connection, before_us: int, upto: int | None, after: Position | None, limit: int
) -> list[Position]:
    """Return the oldest events before a time, with row ids up to ``upto`` and behind the position of another one."""
    (row,) = connection.execute(
        "SELECT json_group_array(json_array(at, id)) FROM (SELECT at, id FROM events"
        " WHERE at < :before AND (:upto IS NULL OR id <= :upto) AND (at, id) > (:at, :id) ORDER BY at, id LIMIT :limit)",
        {
            "before": to_column(before_us),
            "upto": upto,
            "at": -(2**63) if after is None else after[0],
            "id": 0 if after is None else after[1],
            "limit": limit,
        },
    )
    return [(at, row_id) for at, row_id in orjson.loads(row[0])]


async def purge_rows(
    connection: aiosqlite.Connection, ids: Sequence[int], before_us: int, acknowledged: Mapping[str, int]
) -> Mapping[str, int]:
    """Delete, in one transaction, those of some events that are older than a time and have been rolled up.

    Returns the counters, which are in the same transaction: how many events were purged, and how many of them each
    follower, and any of them (``unreplicated``), had not acknowledged.
    """
    async with transaction(connection):
        ((found,),) = await connection.execute_fetchall(
            f"SELECT json_group_array(id) FROM events AS e WHERE {_ROLLED_UP}",
            {"ids": orjson.dumps(ids).decode(), "before": to_column(before_us)},
        )
        rows = await connection.execute_fetchall("SELECT name, row_id FROM cursors")
        # Followers may have come further since they were asked.
        cursors: dict[str, int] = {name: row_id for name, row_id in rows}  # noqa: C416 - a Row is no tuple to mypy
        doomed: list[int] = orjson.loads(found)
        await connection.execute("DELETE FROM events WHERE id IN (SELECT value FROM json_each(?))", (found,))
        reached = {name: max(row_id, cursors.get(name, 0)) for name, row_id in acknowledged.items()}
        counters = {
            "purged": len(doomed),
            UNREPLICATED: sum(row_id > min(reached.values()) for row_id in doomed) if reached else 0,
            **{f"{UNREPLICATED}:{name}": sum(row_id > upto for row_id in doomed) for name, upto in reached.items()},
        }
        await add_counters(connection, counters)
        if doomed:
            await connection.execute("INSERT OR IGNORE INTO meta (name, value) VALUES (?, '')", (_ORPHANED,))
    return counters


def may_have_orphans(connection: sqlite3.Connection) -> bool:
    """Return whether events were deleted since all orphans were."""
    return connection.execute("SELECT 1 FROM meta WHERE name = ?", (_ORPHANED,)).fetchone() is not None


async def note_no_orphans(connection: aiosqlite.Connection) -> None:
    """Note that what the events deleted so far referred to has been seen to."""
    await connection.execute("DELETE FROM meta WHERE name = ?", (_ORPHANED,))


def find_hours(connection: sqlite3.Connection, before_us: int, limit: int) -> list[tuple[int, int]]:
    """Return entity and start of hourly roll-ups before a time, except each entity's last: its state goes on."""
    (row,) = connection.execute(
        "SELECT json_group_array(json_array(entity, start)) FROM (SELECT r.entity, r.start FROM entities AS n"
        " CROSS JOIN rollups AS r ON r.entity = n.id AND r.span = 0 AND r.start <"
        " (SELECT MAX(l.start) FROM rollups AS l WHERE l.entity = n.id AND l.span = 0 AND l.start < ?) LIMIT ?)",
        (to_column(before_us), limit),
    )
    return [(entity, start) for entity, start in orjson.loads(row[0])]


async def delete_hours(connection: aiosqlite.Connection, keys: Sequence[tuple[int, int]]) -> None:
    """Delete hourly roll-ups by entity and start."""
    async with transaction(connection):
        await connection.execute(
            "DELETE FROM rollups WHERE (entity, span, start) IN (SELECT value ->> 0, 0, value ->> 1 FROM json_each(?))",
            (orjson.dumps(keys).decode(),),
        )


async def purge_entity_step(connection: aiosqlite.Connection, entity: int, before_us: int) -> int:
    """Delete up to 2,000 of one entity's events older than ``before_us`` in one transaction; return how many went."""
    async with transaction(connection):
        cursor = await connection.execute(
            "DELETE FROM events WHERE id IN (SELECT id FROM events WHERE entity = ? AND at < ? ORDER BY at LIMIT ?)",
            (entity, to_column(before_us), STEP_ROWS),
        )
        await add_counters(connection, {"purged": cursor.rowcount})
    return cursor.rowcount


async def find_orphans(reader: aiosqlite.Connection) -> list[Orphans]:
    """Return texts, payloads and facts that no event refers to; reads all of the store, so on a reader's connection."""
    found: list[Orphans] = []
    await reader.execute_fetchall("BEGIN")
    (last,) = await reader.execute_fetchall("SELECT COALESCE(MAX(id), 0) FROM events")
    for table in _REFERENCES:
        rows = await reader.execute_fetchall(f"SELECT id FROM {table} WHERE id NOT IN ({_used(table)}) ORDER BY id")
        found.append(Orphans(table, [row[0] for row in rows], int(last[0])))
    await reader.execute_fetchall("COMMIT")
    return found


async def delete_orphans(connection: aiosqlite.Connection, orphans: Orphans) -> None:
    """Delete rows that were found to be orphans, except those that an event stored since refers to."""
    table, ids, last_event = orphans
    async with transaction(connection):
        await connection.execute(
            f"DELETE FROM {table} WHERE id IN ({','.join('?' * len(ids))})"
            f" AND id NOT IN ({_used(table, f'id > {last_event:d}')})",
            ids,
        )


async def give_pages_back(connection: aiosqlite.Connection, pages: int = 250) -> bool:
    """Give some free pages, of 4 KiB each, back to the disk and return whether there are more."""
    await connection.execute_fetchall(f"PRAGMA incremental_vacuum({pages:d})")
    (row,) = await connection.execute_fetchall("PRAGMA freelist_count")
    return bool(row[0])


async def purge_entity(connection: aiosqlite.Connection, entity_id: str) -> tuple[int, int]:
    """Delete an entity's events and every mention of it, in one transaction.

    Returns how many events were deleted and how many payloads of other events were changed. Deleted content is
    overwritten with zeros, so that the file does not hold it either once the WAL is checkpointed.
    """
    await connection.execute_fetchall("PRAGMA secure_delete = ON")
    try:
        async with transaction(connection):
            cursor = await connection.execute(
                "DELETE FROM events WHERE entity IN (SELECT id FROM entities WHERE key = ?)", (entity_id,)
            )
            for table in ("rollups", "rollup_due"):
                await connection.execute(
                    f"DELETE FROM {table} WHERE entity IN (SELECT id FROM entities WHERE key = ?)", (entity_id,)
                )
            # A roll-up that is being computed from what was read before may hold a mention, or be the entity's own.
            await connection.execute("DELETE FROM meta WHERE name = ?", (ROLLUP_TOKEN,))
            await connection.execute(
                "UPDATE events SET responsible = NULL WHERE responsible IN (SELECT id FROM actors WHERE key = ?)",
                (entity_id,),
            )
            await connection.execute("DELETE FROM actors WHERE key = ?", (entity_id,))
            await connection.execute(
                "DELETE FROM dead_letters WHERE entity IN (SELECT id FROM entities WHERE key = ?)", (entity_id,)
            )
            await connection.execute("DELETE FROM entities WHERE key = ?", (entity_id,))
            for table in _REFERENCES:
                await connection.execute(f"DELETE FROM {table} WHERE id NOT IN ({_used(table)})")
            changed = await _remove_mentions(connection, entity_id)
            await add_counters(connection, {"purged": cursor.rowcount})
    finally:
        await connection.execute_fetchall("PRAGMA secure_delete = FAST")
    return cursor.rowcount, changed


async def empty_wal(connection: aiosqlite.Connection) -> bool:
    """Write the WAL into the file and cut it to nothing; return whether no reader was in the way."""
    (row,) = await connection.execute_fetchall("PRAGMA wal_checkpoint(TRUNCATE)")
    return not row[0]


def _used(table: str, where: str = "TRUE") -> str:
    return " UNION ".join(
        # A state may be its own text instead of a reference.
        f"SELECT {column} FROM events WHERE typeof({column}) = 'integer' AND {where}"
        for column in _REFERENCES[table]
    )


async def _remove_mentions(connection: aiosqlite.Connection, entity_id: str) -> int:
    """Replace the entity's id in payloads and texts of other events; return how many payloads changed."""
    # Not inside a longer id: light.kitchen is no mention in light.kitchen_2 or my_light.kitchen.
    mention = re.compile(rf"(?<!\w){re.escape(entity_id)}(?!\w)")
    changed = 0
    for table, column in (
        ("payloads", "key"),
        ("texts", "key"),
        ("actors", "key"),
        ("events", "state"),
        ("events", "old_state"),
        ("dead_letters", "line"),
        ("dead_letters", "words"),
    ):
        rows = await connection.execute_fetchall(
            f"SELECT id, {column} FROM {table} WHERE instr({column}, ?) > 0", (entity_id,)
        )
        for row_id, text in rows:
            cleaned, count = mention.subn(PURGED, text)
            if not count:
                continue
            changed += table == "payloads"
            if table in ("texts", "actors"):
                # These are unique. A payload's hash stays: what it was the hash of is never asked for again.
                cleaned = f"{cleaned} #{row_id}"
            await connection.execute(f"UPDATE {table} SET {column} = ? WHERE id = ?", (cleaned, row_id))
    await _remove_rolled_up(connection, entity_id, mention)
    return changed


async def _remove_rolled_up(connection: aiosqlite.Connection, entity_id: str, mention: re.Pattern[str]) -> None:
    """Replace the entity's id in states that other entities' roll-ups hold."""
    rows = await connection.execute_fetchall(
        "SELECT entity, span, start, state, states FROM rollups WHERE instr(state, ?1) > 0 OR instr(states, ?1) > 0",
        (entity_id,),
    )
    for entity, span, start, *texts in rows:
        cleaned = [None if text is None else mention.sub(PURGED, text) for text in texts]
        await connection.execute(
            "UPDATE rollups SET state = ?, states = ? WHERE entity = ? AND span = ? AND start = ?",
            (*cleaned, entity, span, start),
        )
