"""Copy a store file page by page while others may use it, and see that the copy holds the same rows."""

import asyncio
from contextlib import closing
from hashlib import sha256
from pathlib import Path
import sqlite3
import threading
from typing import Final

import aiosqlite

from ..model import StoreDamagedError, TransferError
from ._connection import close, connect
from ._integrity import quick_check
from ._migrations import identify
from ._transfer_export import Progress

_PAGES: Final = 2_000
_ROWS: Final = 5_000
_CHECK_S: Final = 3_600.0


class _AbandonedError(Exception):
    """End a copy that nobody waits for any more."""


async def copy_store(source: Path, target: Path, progress: Progress) -> tuple[int, str]:
    """Copy a store file with what its log holds into a new file; return how many events it has, and a hash of all rows.

    Raises StoreDamagedError if the source is no sound store, StoreNewerError if it is too new for this version,
    TransferError if the copy is not equal to it, sqlite3.Error for trouble with the disk.
    """
    connection = await connect(source, read_only=True)
    try:
        if not await identify(connection):
            raise StoreDamagedError(f"{source} holds no store", reason="damaged")
        await connection.execute_fetchall("BEGIN")
        await quick_check(connection, _CHECK_S)
        (row,) = await connection.execute_fetchall("SELECT COUNT(*) FROM events")
        events = int(row[0])
        await _copy(connection, target, events, progress)
        copy = await connect(target, read_only=True)
        try:
            hashes = await asyncio.gather(_hash(connection), _hash(copy))
        finally:
            await close(copy)
        if hashes[0] != hashes[1]:
            raise TransferError(f"the copy of {source} is not equal to it", field="path", value=str(source))
    except asyncio.CancelledError:
        await connection.interrupt()
        raise
    finally:
        await close(connection)
    return events, hashes[0]


async def _copy(connection: aiosqlite.Connection, target: Path, events: int, progress: Progress) -> None:
    loop = asyncio.get_running_loop()
    abandoned = threading.Event()

    def tell(_: int, remaining: int, total: int) -> None:
        if abandoned.is_set():
            raise _AbandonedError
        loop.call_soon_threadsafe(progress, events * (total - remaining) // max(total, 1), events)

    with closing(sqlite3.connect(target, check_same_thread=False, isolation_level=None)) as copy:
        # Nobody reads the copy before all of it is on the disk: the swap sees to that.
        copy.execute("PRAGMA journal_mode = OFF")
        copy.execute("PRAGMA synchronous = OFF")
        task = asyncio.ensure_future(connection.backup(copy, pages=_PAGES, progress=tell))
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            abandoned.set()
            await asyncio.wait((task,))
            raise


async def _hash(connection: aiosqlite.Connection) -> str:
    """Return a hash of all rows of all tables, of what they say and of how they are numbered."""
    total = sha256()
    tables = await connection.execute_fetchall(
        "SELECT name, sql LIKE '%WITHOUT ROWID' FROM sqlite_master WHERE type = 'table' ORDER BY name"
    )
    for name, unnumbered in list(tables):
        columns = [str(row[1]) for row in await connection.execute_fetchall(f"PRAGMA table_info({name})")]
        row_text = " || '|' || ".join(f"ifnull({column}, '~')" for column in columns)
        source, number = (
            (f"{name} ORDER BY 1", "0")
            if unnumbered
            else (
                f"{name} WHERE rowid > ? ORDER BY rowid LIMIT {_ROWS:d}",
                "rowid",
            )
        )
        sql = (
            f"SELECT COUNT(*), MAX(number), CAST(group_concat(line, char(10)) AS BLOB)"
            f" FROM (SELECT {number} AS number, {row_text} AS line FROM {source})"
        )
        last: int | None = -(2**63)
        while last is not None:
            (row,) = await connection.execute_fetchall(sql, () if unnumbered else (last,))
            total.update(f"{name}:{row[0]}:{row[1]}\n".encode())
            await asyncio.to_thread(total.update, row[2] or b"")
            last = None if unnumbered else row[1]
    return total.hexdigest()
