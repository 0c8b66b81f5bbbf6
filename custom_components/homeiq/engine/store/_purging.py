"""Delete events: the old ones in small steps, one entity's everywhere at once."""

from collections.abc import Sequence
import re
from typing import Final, NamedTuple

import aiosqlite

from ._connection import transaction
from ._times import to_column
from ._writing import add_counters

STEP_ROWS: Final = 2_000
PURGED: Final = "**PURGED**"
# Who computes roll-ups puts a token here, and writes nothing once it is gone.
ROLLUP_TOKEN: Final = "rollup_token"  # noqa: S105 - no secret
# Pages given back to the disk at a time, 4 KiB each.
_VACUUM_PAGES: Final = 1_000
_REFERENCES: Final = {
    "payloads": ("payload",),
    "facts": ("facts",),
    "texts": ("state", "old_state", "name"),
}


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


async def give_pages_back(connection: aiosqlite.Connection) -> bool:
    """Give some free pages back to the disk and return whether there are more."""
    await connection.execute_fetchall(f"PRAGMA incremental_vacuum({_VACUUM_PAGES:d})")
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
