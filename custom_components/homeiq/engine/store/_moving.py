"""Move a closed store to another folder, or begin one with a copy, so that it is whole at one of the two places always."""

from contextlib import closing
from pathlib import Path
import shutil
import sqlite3
from typing import Final

from ._connection import BUSY_TIMEOUT_MS, translated
from ._integrity import LOCK, PARTIAL, RESTORING, SUFFIXES, sync
from ._lock import StoreLock

# Beside the store and no part of what moves: a lock belongs to who holds it, what is half written to nobody.
_STAY: Final = (LOCK, PARTIAL, RESTORING)


def move_store(source: Path, target: Path) -> None:
    """Move a store that nobody has open, with what was set aside beside it, to another folder of the same disk.

    The write-ahead log is written into the file first, so that the store itself is moved by one renaming; whoever is
    interrupted may begin again. Raises StoreError, StoreInUseError if a HomeIQ has it open; the store is where it was
    then.
    """
    lock = StoreLock(source)
    with translated():
        lock.acquire()
        try:
            _move(source, target)
        finally:
            lock.release()


def _move(source: Path, target: Path) -> None:
    _fold_wal(source)
    target.parent.mkdir(parents=True, exist_ok=True)
    own = {source.with_name(source.name + suffix) for suffix in SUFFIXES}
    for beside in source.parent.glob(f"{source.name}*"):
        rest = beside.name.removeprefix(source.name)
        if beside not in own and not rest.startswith(_STAY):
            beside.rename(target.with_name(target.name + rest))
    source.rename(target)
    for folder in (target.parent, source.parent):
        sync(folder)


def begin_store(source: Path, target: Path) -> None:
    """Begin a store as a copy of a closed file; the name appears when all of it is on the disk; raises StoreError."""
    partial = target.with_name(target.name + PARTIAL)
    with translated():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, partial)
        sync(partial)
        partial.rename(target)
        sync(target.parent)


def _fold_wal(path: Path) -> None:
    """Write the log into the file; closing the last connection deletes it and its index."""
    if not any(path.with_name(path.name + suffix).exists() for suffix in SUFFIXES[1:]):
        return
    with closing(sqlite3.connect(path, isolation_level=None, timeout=BUSY_TIMEOUT_MS / 1000)) as connection:
        (busy, _, _) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if busy or path.with_name(f"{path.name}-wal").exists():
        locked = sqlite3.OperationalError("another program has the store open")
        locked.sqlite_errorcode = sqlite3.SQLITE_BUSY
        raise locked
