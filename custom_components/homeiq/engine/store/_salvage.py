"""Save what is readable of a damaged store file into a new one, and count exactly what is lost."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
import sqlite3
import threading
import time
from typing import Final

from ..model import StoreNewerError, TransferError
from ._connection import translated
from ._integrity import PARTIAL, sync
from ._migrations import APPLICATION_ID, MIGRATIONS, SCHEMA_VERSION
from ._salvage_pages import DamagedFile, Trees, rows_of
from ._salvage_tables import Tables
from ._transfer_export import Progress, no_progress

_USER_VERSION: Final = 60
_APPLICATION_ID: Final = 68
_SCHEMA_ROOT: Final = 1
_OURS: Final = frozenset({"events", "entities"})
_PAGES_AT_A_TIME: Final = 256

# A row without its entity or state says nothing; one without the rest says what happened.
_LOST: Final = """
DELETE FROM events WHERE (entity IS NOT NULL AND entity NOT IN (SELECT id FROM entities))
    OR (typeof(state) = 'integer' AND state NOT IN (SELECT id FROM texts)) OR typeof(state) IN ('blob', 'real')
"""
_GONE: Final = {
    "old_state": "typeof(old_state) IN ('blob', 'real')"
    " OR (typeof(old_state) = 'integer' AND old_state NOT IN (SELECT id FROM texts))",
    "payload": "payload IS NOT NULL AND payload NOT IN (SELECT id FROM payloads)",
    "name": "name IS NOT NULL AND name NOT IN (SELECT id FROM texts)",
    "context": "typeof(context) = 'blob' AND length(context) NOT IN (10, 16)",
    "parent": "typeof(parent) = 'blob' AND length(parent) NOT IN (10, 16)",
    "user": "user IS NOT NULL AND user NOT IN (SELECT id FROM actors)",
    "responsible": "responsible IS NOT NULL AND responsible NOT IN (SELECT id FROM actors)",
    "facts": "facts IS NOT NULL AND facts NOT IN (SELECT id FROM facts)",
}
_INCOMPLETE: Final = (
    f"UPDATE events SET {', '.join(f'{name} = CASE WHEN {gone} THEN NULL ELSE {name} END' for name, gone in _GONE.items())}"
    f" WHERE {' OR '.join(f'({gone})' for gone in _GONE.values())}"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SalvageReport:
    """Say what became of a damaged file's rows.

    ``saved`` events are in the new file, ``incomplete`` of them without something that stood on a lost page (attributes,
    previous state, who was behind it). ``lost`` events are not, None if the file's own count is lost as well. ``tables``
    says how many rows each table has in the new file.
    """

    saved: int
    incomplete: int
    lost: int | None
    tables: Mapping[str, int]


async def salvage(damaged: Path, target: Path, *, progress: Progress = no_progress) -> SalvageReport:
    """Write all readable rows of a damaged store file, and of the log beside it, into a new store file.

    The damaged file is only read; the new one has its name only when it is whole. ``progress`` is told pages instead of
    events. What was overwritten inside a row by bytes that make sense there cannot be told: SQLite keeps no checksums.
    Raises TransferError if the target is there already or the file is another program's database, StoreNewerError if a
    newer HomeIQ wrote it, StoreError for trouble with the disk.
    """
    loop = asyncio.get_running_loop()
    stop = threading.Event()

    def tell(done: int, total: int) -> None:
        if stop.is_set():
            raise _StoppedError
        loop.call_soon_threadsafe(progress, done, total)

    task = asyncio.ensure_future(asyncio.to_thread(_salvage, damaged, target, tell))
    with translated():
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            stop.set()
            await asyncio.wait((task,))
            raise


class _StoppedError(Exception):
    """End a salvage that nobody waits for any more."""


def _salvage(damaged: Path, target: Path, tell: Callable[[int, int], None]) -> SalvageReport:
    if target.exists():
        raise TransferError(f"{target} is there already", field="path", value=str(target))
    partial = target.with_name(target.name + PARTIAL)
    partial.unlink(missing_ok=True)
    try:
        with DamagedFile(damaged) as file, closing(sqlite3.connect(partial, isolation_level=None)) as connection:
            report = _save(file, connection, tell)
        sync(partial)
        partial.rename(target)
        sync(target.parent)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    return report


def _save(file: DamagedFile, connection: sqlite3.Connection, tell: Callable[[int, int], None]) -> SalvageReport:
    tell(0, file.pages)
    trees = Trees(file)
    found = _schema(file, trees)
    version = _version(file, found)
    steps = [step for step in MIGRATIONS if step.version <= version]
    for pragma in ("auto_vacuum = INCREMENTAL", "journal_mode = OFF", "synchronous = OFF"):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute("BEGIN")
    for statement in (statement for step in steps for statement in step.statements):
        connection.execute(statement)
    tables = Tables(connection)
    roots = {**tables.roots, **{root: name for name, root in found.items()}}
    keepers = {root: keeper for root, name in roots.items() if (keeper := tables.keeper(name)) is not None}
    doubtful: list[int] = []
    for number in range(1, file.pages + 1):
        root, certain = (None, True) if trees.is_map(number) else trees.owner(number)
        if root in keepers and not certain:
            # Pages that were given back may still look like that; rows that are saved already win.
            doubtful.append(number)
        elif root in keepers:
            keepers[root].keep(rows_of(file, number))
        if number % _PAGES_AT_A_TIME == 0:
            tell(number, file.pages)
        time.sleep(0)
    for number in doubtful:
        keepers[trees.owner(number)[0] or 0].keep(rows_of(file, number))
        time.sleep(0)
    tables.flush()
    for step in steps:
        connection.execute(
            "INSERT OR IGNORE INTO migrations (version, name, applied_us) VALUES (?, ?, 0)", (step.version, step.name)
        )
    connection.execute(f"PRAGMA user_version = {version:d}")
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID:d}")
    report = _settle(connection, tables)
    connection.execute("COMMIT")
    tell(file.pages, file.pages)
    return report


def _settle(connection: sqlite3.Connection, tables: Tables) -> SalvageReport:
    """Drop what makes no sense without what is lost, and make the new file's counts true."""
    connection.execute(_LOST)
    incomplete = connection.execute(_INCOMPLETE).rowcount
    counts = {name: int(connection.execute(f"SELECT COUNT(*) FROM {name}").fetchone()[0]) for name in tables.names}
    saved = counts["events"]
    counters: dict[str, int] = dict(connection.execute("SELECT name, value FROM counters"))
    stored = counters.get("stored")
    lost = None if stored is None else stored - counters.get("purged", 0) - saved
    connection.execute(
        "INSERT OR REPLACE INTO counters (name, value) VALUES ('stored', ?), ('purged', ?)",
        (saved if stored is None else stored, 0 if stored is None else stored - saved),
    )
    return SalvageReport(saved=saved, incomplete=incomplete, lost=lost, tables=counts)


def _schema(file: DamagedFile, trees: Trees) -> dict[str, int]:
    """Return the roots of the tables and indexes that the file still names."""
    found: dict[str, int] = {}
    for number in range(1, file.pages + 1):
        if trees.is_map(number) or trees.owner(number)[0] != _SCHEMA_ROOT:
            continue
        for row in rows_of(file, number):
            match row.values:
                case [str(), str() as name, str(), int() as root, *_] if root > _SCHEMA_ROOT:
                    found[name] = root
    return found


def _version(file: DamagedFile, found: Mapping[str, int]) -> int:
    """Return the schema version to salvage by: the file's own, the newest where the file does not say it any more."""
    version, application = file.number(_USER_VERSION), file.number(_APPLICATION_ID)
    if application != APPLICATION_ID:
        if file.has_header and found and not found.keys() >= _OURS:
            raise TransferError("the file is another program's database", field="path", value=file.name)
        return SCHEMA_VERSION
    if version > SCHEMA_VERSION:
        raise StoreNewerError(
            f"store schema {version} is newer than {SCHEMA_VERSION}",
            reason="newer",
            found=str(version),
            known=str(SCHEMA_VERSION),
        )
    return version or SCHEMA_VERSION
