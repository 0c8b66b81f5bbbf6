"""Find a damaged store file at start, and set it aside without deleting anything."""

from datetime import UTC, datetime
from pathlib import Path
import sqlite3
from time import monotonic
from typing import Final

import aiosqlite

from ..model import StoreDamagedError

# A check of 1 GB takes some 3 s on a small box; set-up must not wait for it. What was not looked at in this time is
# found by SQLite itself when it is read.
CHECK_BUDGET_S: Final = 2.0
# After a reader has met damage the whole file is looked at, and the buffer holds the events meanwhile.
FULL_CHECK_S: Final = 120.0
_PROGRESS_STEPS: Final = 10_000
SUFFIXES: Final = ("", "-wal", "-shm")
_DAMAGED: Final = ".damaged-"


async def quick_check(connection: aiosqlite.Connection, budget_s: float = CHECK_BUDGET_S) -> bool:
    """Check the file's structure for at most ``budget_s`` seconds and return whether the check came to its end.

    Raises StoreDamagedError with SQLite's words if the structure is broken.
    """
    deadline = monotonic() + budget_s
    await connection.set_progress_handler(lambda: int(monotonic() > deadline), _PROGRESS_STEPS)
    try:
        (row,) = await connection.execute_fetchall("PRAGMA quick_check(1)")
    except sqlite3.OperationalError as err:
        if err.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
            return False
        raise
    finally:
        await connection.set_progress_handler(None, 0)  # type: ignore[arg-type]  # None clears it
    if (answer := str(row[0])) != "ok":
        raise StoreDamagedError(answer, reason="damaged")
    return True


def set_aside(path: Path, now_us: int) -> Path:
    """Rename a damaged store and its side files, so that a new one can begin; return the new name.

    Raises OSError if the files cannot be renamed.
    """
    stamp = datetime.fromtimestamp(now_us / 1e6, UTC).strftime("%Y%m%dT%H%M%S")
    target = path.with_name(f"{path.name}{_DAMAGED}{stamp}")
    number = 1
    while target.exists():
        number += 1
        target = path.with_name(f"{path.name}{_DAMAGED}{stamp}-{number}")
    for suffix in SUFFIXES:
        side = path.with_name(path.name + suffix)
        if side.exists():
            side.rename(target.with_name(target.name + suffix))
    return target


def remove_files(path: Path) -> None:
    """Delete the store, its side files and what was set aside, nothing else; raises OSError if one cannot be deleted."""
    for suffix in SUFFIXES:
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    for file in path.parent.glob(f"{path.name}{_DAMAGED}*"):
        file.unlink(missing_ok=True)


def identity(path: Path) -> tuple[int, int] | None:
    """Return what tells one file from another of the same name, None if there is none."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def size(path: Path) -> int:
    """Return the bytes that the store and its side files take on disk."""
    return sum(_size(path.with_name(path.name + suffix)) for suffix in SUFFIXES)


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        # Side files come and go with the connections.
        return 0
