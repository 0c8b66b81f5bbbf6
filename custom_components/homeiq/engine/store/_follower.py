"""Keep for each follower of the store how far it has come and what it could not deliver."""

from collections.abc import Mapping, Sequence
from itertools import batched
from typing import Final

import aiosqlite

from ..model import DeadLetter, Event
from ._connection import transaction
from ._reading import decode_rows
from ._rows import SELECT_EVENTS
from ._store import Store
from ._times import from_column, to_column
from ._writing import add_counters

MAX_DEAD_LETTERS: Final = 50_000
"""Dead letters kept per follower; beyond it the oldest go and are counted, their events stay in the store."""

DROPPED: Final = "dead_letters_dropped"
_LETTERS_PER_STATEMENT: Final = 200
_NO_LIMIT: Final = -1

# A letter for an event that is no longer there would outlive the purge of its entity.
_INSERT: Final = """
WITH me (name) AS (VALUES (?)), given (event, at, entity, line, status, words, noted_us) AS (VALUES {marks})
INSERT INTO dead_letters (replica, event, at, entity, line, status, words, noted_us)
SELECT me.name, g.event, g.at, (SELECT id FROM entities WHERE key = g.entity), g.line, g.status, g.words, g.noted_us
FROM given AS g, me
WHERE g.event IN (SELECT id FROM events)
   OR g.event IN (SELECT event FROM dead_letters WHERE replica = (SELECT name FROM me))
ON CONFLICT (replica, event) DO UPDATE
SET line = excluded.line, status = excluded.status, words = excluded.words, noted_us = excluded.noted_us
"""


class Follower:
    """Be what one replica follows: events in the order of their rows, its cursor and its dead letters.

    All methods raise StoreError. ``name`` must be stable: the cursor and the letters are kept under it.
    """

    def __init__(self, store: Store, name: str) -> None:
        """Take the store and the follower's name in it."""
        self._store = store
        self.name = name

    async def events_after(self, row_id: int, limit: int) -> Sequence[Event]:
        """Return up to ``limit`` events that were stored after the one with this row id, in the order of storing."""
        return await self._store.events_after(row_id, limit)

    async def events_at(self, time_us: int, limit: int) -> Sequence[Event]:
        """Return up to ``limit`` events of one microsecond, in the order of storing."""
        return await self._read("e.at = ? ORDER BY e.id LIMIT ?", to_column(time_us), limit)

    async def events_in(self, start_us: int, end_us: int, after_row: int, limit: int) -> Sequence[Event]:
        """Return up to ``limit`` events with start <= time < end after a row id, in the order of storing.

        Reads the table from that row on: begin at ``first_row_since(start_us)``.
        """
        # The + keeps SQLite from the index of times, with which it would sort the whole range for each page.
        where = "e.id > ? AND +e.at >= ? AND +e.at < ? ORDER BY e.id LIMIT ?"
        return await self._read(where, after_row, to_column(start_us), to_column(end_us), limit)

    async def count_in(self, start_us: int, end_us: int, last_row: int) -> int:
        """Return how many events with start <= time < end there are up to a row id."""
        return await self._number(
            "SELECT COUNT(*) FROM events WHERE at >= ? AND at < ? AND id <= ?",
            to_column(start_us), to_column(end_us), last_row,
        )  # fmt: skip

    async def last_row_id(self) -> int:
        """Return the row id of the event stored last, 0 if there never was one."""
        return await self._store.last_row_id()

    async def first_row_since(self, time_us: int) -> int | None:
        """Return the least row id of an event of this time or later, None if there is none."""
        # Without the index SQLite would walk the rows in their order until one fits: all of them, for a recent time.
        rows = await self._rows(
            "SELECT MIN(id) FROM events INDEXED BY events_by_time WHERE at >= ?", to_column(time_us)
        )
        return None if rows[0][0] is None else int(rows[0][0])

    async def cursor(self) -> int | None:
        """Return the row id up to which everything is settled, None if the follower never was here."""
        rows = await self._rows("SELECT row_id FROM cursors WHERE name = ?", self.name)
        return next((int(row[0]) for row in rows), None)

    async def advance(self, row_id: int, dead: Sequence[DeadLetter] = ()) -> None:
        """Move the cursor forward and keep the dead letters, in one transaction; it never moves back.

        A letter whose event has been purged meanwhile is left out; one that is there already gets the new words.
        """

        async def work(writer: aiosqlite.Connection) -> None:
            async with transaction(writer):
                await writer.execute(
                    "INSERT INTO cursors (name, row_id) VALUES (?, ?)"
                    " ON CONFLICT (name) DO UPDATE SET row_id = MAX(row_id, excluded.row_id)",
                    (self.name, row_id),
                )
                if dead:
                    await self._keep(writer, dead)

        await self._store.write(work)

    async def rewind(self, row_id: int) -> None:
        """Set the cursor to any row id, back as well."""
        await self._store.execute(
            "INSERT INTO cursors (name, row_id) VALUES (?, ?)"
            " ON CONFLICT (name) DO UPDATE SET row_id = excluded.row_id",
            self.name, row_id,
        )  # fmt: skip

    async def forget(self) -> None:
        """Delete the cursor and all dead letters: the follower never was here."""

        async def work(writer: aiosqlite.Connection) -> None:
            async with transaction(writer):
                await writer.execute("DELETE FROM cursors WHERE name = ?", (self.name,))
                await writer.execute("DELETE FROM dead_letters WHERE replica = ?", (self.name,))

        await self._store.write(work)

    async def dead_letters(self, after_id: int = 0, limit: int = 100) -> Sequence[DeadLetter]:
        """Return up to ``limit`` dead letters after one's id, oldest first."""
        rows = await self._rows(
            "SELECT d.id, d.event, d.at, n.key, d.line, d.status, d.words, d.noted_us FROM dead_letters AS d"
            " LEFT JOIN entities AS n ON n.id = d.entity WHERE d.replica = ? AND d.id > ? ORDER BY d.id LIMIT ?",
            self.name, after_id, limit,
        )  # fmt: skip
        return [
            DeadLetter(
                id=row[0], event_id=row[1], time_us=from_column(row[2]), entity_id=row[3],
                line=row[4], status=row[5], words=row[6], noted_us=row[7],
            )
            for row in rows
        ]  # fmt: skip

    async def dead_letter_count(self) -> int:
        """Return how many dead letters are held."""
        return await self._number("SELECT COUNT(*) FROM dead_letters WHERE replica = ?", self.name)

    async def delete_dead_letters(self, ids: Sequence[int] | None = None) -> int:
        """Delete some dead letters by their ids, or all; return how many went."""

        async def work(writer: aiosqlite.Connection) -> int:
            deleted = 0
            async with transaction(writer):
                if ids is None:
                    cursor = await writer.execute("DELETE FROM dead_letters WHERE replica = ?", (self.name,))
                    return cursor.rowcount
                for part in batched(ids, _LETTERS_PER_STATEMENT, strict=False):
                    cursor = await writer.execute(
                        f"DELETE FROM dead_letters WHERE replica = ? AND id IN ({','.join('?' * len(part))})",
                        (self.name, *part),
                    )
                    deleted += cursor.rowcount
            return deleted

        return await self._store.write(work)

    async def _keep(self, writer: aiosqlite.Connection, dead: Sequence[DeadLetter]) -> None:
        """Insert or renew letters, and drop the oldest beyond the limit."""
        for part in batched(dead, _LETTERS_PER_STATEMENT, strict=False):
            values: list[object] = [self.name]
            for letter in part:
                values += (
                    letter.event_id, to_column(letter.time_us), letter.entity_id, letter.line,
                    letter.status, letter.words, letter.noted_us,
                )  # fmt: skip
            marks = ",".join(["(?,?,?,?,?,?,?)"] * len(part))
            await writer.execute(_INSERT.format(marks=marks), values)
        cursor = await writer.execute(
            "DELETE FROM dead_letters WHERE id IN"
            " (SELECT id FROM dead_letters WHERE replica = ? ORDER BY id DESC LIMIT ? OFFSET ?)",
            (self.name, _NO_LIMIT, MAX_DEAD_LETTERS),
        )
        await add_counters(writer, {DROPPED: cursor.rowcount})

    async def _read(self, where: str, *values: object) -> Sequence[Event]:
        async with self._store.reader() as reader:
            rows = await reader.execute_fetchall(f"{SELECT_EVENTS} WHERE {where}", values)
            return await decode_rows(list(rows))

    async def _rows(self, sql: str, *values: object) -> list[aiosqlite.Row]:
        async with self._store.reader() as reader:
            return list(await reader.execute_fetchall(sql, values))

    async def _number(self, sql: str, *values: object) -> int:
        return int((await self._rows(sql, *values))[0][0])


async def cursors(store: Store) -> Mapping[str, int]:
    """Return how far every follower of the store has come, by name; raises StoreError."""
    async with store.reader() as reader:
        rows = await reader.execute_fetchall("SELECT name, row_id FROM cursors")
    return {str(row[0]): int(row[1]) for row in rows}
