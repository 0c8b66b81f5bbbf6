"""Remember since when events may be missing: whoever wrote last may have been killed, and nobody has listened since.

What is noted stays until it has been seen to: the session that found it may be killed as well.
"""

from typing import Final

import aiosqlite

from ._times import from_column, to_column

_META: Final = "unheard_since"
# What was in the batch that was never committed is a little older than what was committed last.
_MARGIN_US: Final = 5_000_000


async def note_unheard(connection: aiosqlite.Connection, now_us: int) -> None:
    """Note the time of the newest event that is not in the future, unless an older time is noted already."""
    (row,) = await connection.execute_fetchall("SELECT MAX(at) FROM events WHERE at <= ?", (to_column(now_us),))
    if row[0] is not None:
        since = from_column(row[0]) - _MARGIN_US
        await connection.execute("INSERT OR IGNORE INTO meta (name, value) VALUES (?, ?)", (_META, str(since)))


async def unheard_since(connection: aiosqlite.Connection) -> int | None:
    """Return the time (µs) since when events may be missing, None if all was heard."""
    rows = await connection.execute_fetchall("SELECT value FROM meta WHERE name = ?", (_META,))
    return next((int(row[0]) for row in rows), None)


async def forget_unheard(connection: aiosqlite.Connection) -> None:
    """Forget the time: what was missing has been fetched."""
    await connection.execute("DELETE FROM meta WHERE name = ?", (_META,))
