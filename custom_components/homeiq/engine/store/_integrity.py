"""Find a damaged store file at start, and set it aside without deleting anything."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
import os
from pathlib import Path
import shutil
import sqlite3
from time import monotonic
from typing import Final

import aiosqlite

from ..model import StoreDamagedError
from ._connection import to_store_error

# A check of 1 GB takes some 3 s on a small box; set-up must not wait for it. What was not looked at in this time is
# found by SQLite itself when it is read.
CHECK_BUDGET_S: Final = 2.0
# After a reader has met damage the whole file is looked at, and the buffer holds the events meanwhile.
FULL_CHECK_S: Final = 120.0
_PROGRESS_STEPS: Final = 10_000
SUFFIXES: Final = ("", "-wal", "-shm")
_DAMAGED: Final = ".damaged-"
_BEFORE_RESTORE: Final = ".before-restore-"
RESTORING: Final = ".restoring"
LOCK: Final = ".lock"
# What is half written, and of use to nobody.
PARTIAL: Final = ".partial"


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


async def structure_check(connection: aiosqlite.Connection) -> str | None:
    """Check the whole file, indexes included, and return SQLite's words about the first fault, None if it is sound."""
    try:
        (row,) = await connection.execute_fetchall("PRAGMA integrity_check(1)")
    except sqlite3.DatabaseError as err:
        if to_store_error(err).placeholders["reason"] != "damaged":
            raise
        return str(err)
    return None if (answer := str(row[0])) == "ok" else answer


def set_aside(path: Path, now_us: int) -> Path:
    """Rename a damaged store and its side files, so that a new one can begin; return the new name.

    Raises OSError if the files cannot be renamed.
    """
    target = _free_name(path, _DAMAGED, now_us)
    for suffix in SUFFIXES:
        side = path.with_name(path.name + suffix)
        if side.exists():
            side.rename(target.with_name(target.name + suffix))
    return target


def restoring_path(path: Path) -> Path:
    """Return where a store is built that is to take this one's place."""
    return path.with_name(path.name + RESTORING)


def remove_unfinished(path: Path) -> None:
    """Delete what a restore left behind that was killed; raises OSError."""
    for suffix in (*SUFFIXES, LOCK):
        path.with_name(path.name + RESTORING + suffix).unlink(missing_ok=True)
    for before in path.parent.glob(f"{path.name}{_BEFORE_RESTORE}*"):
        # Killed between the two names: it is the store itself.
        if path.exists() and before.samefile(path):
            before.unlink()


def swap(new: Path, path: Path, now_us: int) -> Path:
    """Give ``new`` the name of the store, which keeps its file under another name; return that name.

    Both must be closed, with an empty log. The old name stands for a whole store at every moment. Raises OSError.
    """
    sync(new)
    before = _free_name(path, _BEFORE_RESTORE, now_us)
    try:
        os.link(path, before)
    except OSError:
        # A file system without hard links.
        try:
            shutil.copyfile(path, before)
            sync(before)
        except BaseException:
            before.unlink(missing_ok=True)
            raise
    for suffix in SUFFIXES[1:]:
        # Another process still reads the old file: its log is empty, but must not be read into the new one.
        with suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(before.with_name(before.name + suffix))
    new.replace(path)
    sync(path.parent)
    return before


def damaged_files(path: Path) -> list[Path]:
    """Return the damaged files of a store that were set aside, oldest first, without their side files."""
    found = path.parent.glob(f"{path.name}{_DAMAGED}*")
    return sorted(file for file in found if not file.name.endswith((*SUFFIXES[1:], PARTIAL)))


def remove_files(path: Path) -> None:
    """Delete the store and all that belongs to it, nothing else; raises OSError if one cannot be deleted."""
    remove_unfinished(path)
    for file in (*_of_store(path), *path.parent.glob(f"{path.name}{_DAMAGED}*")):
        file.unlink(missing_ok=True)


def _of_store(path: Path) -> Iterator[Path]:
    for suffix in (*SUFFIXES, LOCK):
        yield path.with_name(path.name + suffix)
    yield from path.parent.glob(f"{path.name}{_BEFORE_RESTORE}*")


def _free_name(path: Path, infix: str, now_us: int) -> Path:
    stamp = datetime.fromtimestamp(now_us / 1e6, UTC).strftime("%Y%m%dT%H%M%S")
    target = path.with_name(f"{path.name}{infix}{stamp}")
    number = 1
    while target.exists():
        number += 1
        target = path.with_name(f"{path.name}{infix}{stamp}-{number}")
    return target


def sync(path: Path) -> None:
    """Wait until a file's content, or a folder's names, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def identity(path: Path) -> tuple[int, int] | None:
    """Return what tells one file from another of the same name, None if there is none."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def is_same(path: Path, other: Path) -> bool:
    """Return whether two names stand for one file that is there."""
    return (found := identity(path)) is not None and found == identity(other)


def size(path: Path) -> int:
    """Return the bytes that the store and its side files take on disk."""
    return sum(_size(path.with_name(path.name + suffix)) for suffix in SUFFIXES)


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError, NotADirectoryError:
        # Side files come and go with the connections.
        return 0
