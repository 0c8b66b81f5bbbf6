"""Open and close aiosqlite connections, and translate SQLite's errors."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager, suppress
import errno
from pathlib import Path
import sqlite3
from typing import Final
from urllib.parse import quote

import aiosqlite

from ..model import StoreDamagedError, StoreError

BUSY_TIMEOUT_MS: Final = 5_000
_THREAD_END_S: Final = 5.0

_REASONS: Final = {
    sqlite3.SQLITE_FULL: "disk_full",
    sqlite3.SQLITE_READONLY: "read_only",
    sqlite3.SQLITE_BUSY: "locked",
    sqlite3.SQLITE_LOCKED: "locked",
    sqlite3.SQLITE_CANTOPEN: "cannot_open",
    sqlite3.SQLITE_PERM: "cannot_open",
    sqlite3.SQLITE_AUTH: "cannot_open",
    sqlite3.SQLITE_IOERR: "io_error",
}
_OS_REASONS: Final = {
    errno.ENOSPC: "disk_full",
    errno.EDQUOT: "disk_full",
    errno.EROFS: "read_only",
    errno.EACCES: "cannot_open",
    errno.EPERM: "cannot_open",
}
_DAMAGE: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_PRIMARY_CODE: Final = 0xFF
# About what was to be written, not about the store: whoever wrote it must hear of it, trying again is of no use.
_ABOUT_THE_DATA: Final = (
    sqlite3.ProgrammingError,
    sqlite3.InterfaceError,
    sqlite3.DataError,
    sqlite3.IntegrityError,
)
# A reader that reads for minutes keeps the WAL from being reset; afterwards the file shrinks to this size again.
_WAL_LIMIT_BYTES: Final = 16 * 1024 * 1024


def to_store_error(err: sqlite3.Error | OSError) -> StoreError:
    """Return the engine's error for one of SQLite's, with a one-word ``reason`` among its placeholders."""
    code = (getattr(err, "sqlite_errorcode", None) or 0) & _PRIMARY_CODE
    if code in _DAMAGE:
        return StoreDamagedError(str(err), reason="damaged")
    if isinstance(err, OSError):
        return StoreError(str(err), reason=_OS_REASONS.get(err.errno or 0, "io_error"))
    return StoreError(str(err), reason=_REASONS.get(code, "unknown"))


def is_damage(err: BaseException) -> bool:
    """Return whether an error means that the file is no sound store."""
    if isinstance(err, sqlite3.Error):
        err = to_store_error(err)
    return isinstance(err, StoreDamagedError)


@contextmanager
def translated() -> Iterator[None]:
    """Raise StoreError for SQLite's and the file system's errors, except for those that blame the data."""
    try:
        yield
    except _ABOUT_THE_DATA:
        raise
    except (sqlite3.Error, OSError) as err:
        raise to_store_error(err) from err


@contextmanager
def snapshot(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a read-only snapshot, for a thread or another process; raises sqlite3.Error."""
    with closing(
        sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, autocommit=True, timeout=BUSY_TIMEOUT_MS / 1000)
    ) as connection:
        connection.execute("BEGIN")
        yield connection


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a read-only snapshot; raises StoreError for whatever SQLite objects to inside."""
    try:
        with snapshot(path) as connection:
            yield connection
    except sqlite3.Error as err:
        raise to_store_error(err) from err


async def connect(path: Path, *, read_only: bool = False) -> aiosqlite.Connection:
    """Open a connection in autocommit mode, changing nothing in the file; transactions are begun by hand.

    Raises sqlite3.Error if the file cannot be opened.
    """
    mode = "ro" if read_only else "rwc"
    connection = aiosqlite.connect(
        f"file:{quote(str(path))}?mode={mode}", uri=True, isolation_level=None, timeout=BUSY_TIMEOUT_MS / 1000
    )
    opening = asyncio.ensure_future(_opened(connection))
    try:
        await asyncio.shield(opening)
    except asyncio.CancelledError:
        # The thread opens the file all the same, and somebody must close it.
        with suppress(sqlite3.Error):
            await opening
        await close(connection)
        raise
    except BaseException:
        # aiosqlite has told its thread to end.
        _join(connection)
        raise
    return connection


async def _opened(connection: aiosqlite.Connection) -> None:
    await connection


async def prepare_writer(connection: aiosqlite.Connection) -> None:
    """Put a file that is ours into the modes that the writer needs; raises sqlite3.Error."""
    for pragma in (
        # Only an empty file takes auto_vacuum, and WAL writes the file's first page.
        "auto_vacuum = INCREMENTAL",
        "journal_mode = WAL",
        # NORMAL: a killed process loses nothing that was committed; a power cut can lose the last commits since the
        # last checkpoint but never damages the file, and flash storage is spared an fsync a second.
        "synchronous = NORMAL",
        f"journal_size_limit = {_WAL_LIMIT_BYTES:d}",
        # Pages that are written anyway hold no remnants of what was moved or deleted; purge_entity relies on it.
        "secure_delete = FAST",
    ):
        await connection.execute_fetchall(f"PRAGMA {pragma}")


async def close(connection: aiosqlite.Connection) -> None:
    """Close a connection and wait until its thread has ended; an error of SQLite on closing is of no use to anyone."""
    with suppress(sqlite3.Error):
        await connection.close()
    _join(connection)


def _join(connection: aiosqlite.Connection) -> None:
    # aiosqlite does not say when its thread is gone; it has nothing left to do here and needs microseconds.
    connection._thread.join(_THREAD_END_S)  # noqa: SLF001


@asynccontextmanager
async def transaction(connection: aiosqlite.Connection) -> AsyncIterator[None]:
    """Commit what happens inside, or roll it back and raise."""
    await connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        await connection.commit()
    except BaseException:
        # SQLite has rolled back by itself after a full disk or an I/O error; then there is nothing to roll back.
        if connection.in_transaction:
            with suppress(sqlite3.Error):
                await connection.rollback()
        raise
