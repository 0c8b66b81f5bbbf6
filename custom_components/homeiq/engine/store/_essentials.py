"""Keep an extract of the store for backups: all but the events and what only events refer to.

The extract is a store itself, without events: where there is no store any more, a copy of it is one to go on with.
"""

import asyncio
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
import sqlite3
from threading import Event as Flag
from typing import Final
from urllib.parse import quote

from ._connection import BUSY_TIMEOUT_MS, is_damage, translated
from ._integrity import PARTIAL, SUFFIXES, identity, sync
from ._migrations import APPLICATION_ID
from ._store import Store

# Of events, or of no use without them; all other tables come along, also those of later schemas.
_LEFT_OUT: Final = frozenset(
    {"events", "texts", "actors", "facts", "payloads", "dead_letters", "rollup_due"},
)
# Meta that tells of this file's events: what was imported, that the recorder's past is there, what is being rolled up.
_NO_META: Final = "name IN ('backfill_until', 'unheard_since', 'rollup_token') OR name LIKE 'import:%'"
_SOURCE: Final = "essentials_of"
# What changes of roll-ups older than this comes with the next rebuild.
_RECENT_US: Final = 2 * 86_400_000_000
_PROGRESS_STEPS: Final = 10_000
_JOURNAL: Final = "-journal"


class Essentials:
    """Write and refresh the extract; every method raises StoreError, and what it leaves is the file of before or of now."""

    def __init__(self, store: Store, path: Path) -> None:
        """Name the extract; nothing is written yet."""
        self._store = store
        self.path = path
        self._one = asyncio.Lock()

    async def update(self) -> None:
        """Bring the extract up to date: what changed lately if there is one of this store, else all."""
        await self._run(_update)

    async def rebuild(self) -> None:
        """Write the extract anew, so that nothing is in it that has been deleted."""
        await self._run(_rebuild)

    async def remove(self) -> None:
        """Delete the extract: nothing in it may stay for longer."""
        async with self._one:
            with translated():
                await asyncio.to_thread(_delete, self.path)

    async def _run(self, work: Callable[[Path, Path, Flag], None]) -> None:
        async with self._one:
            await self._store.open()
            given_up = Flag()
            task = asyncio.ensure_future(asyncio.to_thread(work, self._store.path, self.path, given_up))
            with translated():
                try:
                    await asyncio.shield(task)
                except asyncio.CancelledError:
                    # SQLite ends within some thousand steps, and only then the lock may be given back.
                    given_up.set()
                    await asyncio.wait((task,))
                    task.cancelled() or task.exception()
                    raise


def _update(source: Path, target: Path, given_up: Flag) -> None:
    try:
        if _is_of(source, target):
            _refresh(source, target, given_up)
            return
    except sqlite3.DatabaseError as err:
        # Damaged, or somebody else's database.
        if not is_damage(err) and err.sqlite_errorcode != sqlite3.SQLITE_ERROR:
            raise
    _rebuild(source, target, given_up)


def _is_of(source: Path, target: Path) -> bool:
    """Return whether there is an extract of this very file and of its schema."""
    if not target.exists():
        return False
    with closing(_open(target, given_up=Flag())) as extract:
        _attach(extract, source)
        (ours,), (theirs,) = (extract.execute(f"PRAGMA {name}.user_version").fetchone() for name in ("main", "source"))
        rows = extract.execute("SELECT value FROM main.meta WHERE name = ?", (_SOURCE,)).fetchall()
        return bool(ours == theirs and rows == [(_name_of(source, extract),)])


def _refresh(source: Path, target: Path, given_up: Flag) -> None:
    with closing(_open(target, given_up)) as extract:
        _attach(extract, source)
        extract.execute("BEGIN IMMEDIATE")
        for table in _tables(extract):
            if table == "rollups":
                (newest,) = extract.execute("SELECT COALESCE(MAX(start), 0) FROM main.rollups").fetchone()
                # By entity, so that the key finds them; the table has millions of rows.
                extract.execute(
                    "INSERT OR REPLACE INTO main.rollups SELECT r.* FROM source.entities AS e CROSS JOIN source.rollups AS r"
                    " ON r.entity = e.id AND r.span IN (0, 1) AND r.start >= ?",
                    (newest - _RECENT_US,),
                )
            else:
                extract.execute(f"DELETE FROM main.{table}")
                extract.execute(f"INSERT INTO main.{table} SELECT * FROM source.{table}")
        _finish(extract, source)
        extract.execute("COMMIT")


def _rebuild(source: Path, target: Path, given_up: Flag) -> None:
    # Beside the store, not beside the extract: a backup of that folder fails if a file vanishes under it.
    partial_file = source.with_name(target.name + PARTIAL)
    target.parent.mkdir(parents=True, exist_ok=True)
    _delete(partial_file)
    try:
        with closing(_open(partial_file, given_up)) as extract:
            for pragma in ("auto_vacuum = INCREMENTAL", "journal_mode = OFF", f"application_id = {APPLICATION_ID:d}"):
                extract.execute(f"PRAGMA {pragma}").fetchall()
            _attach(extract, source)
            extract.execute("BEGIN IMMEDIATE")
            (version,) = extract.execute("PRAGMA source.user_version").fetchone()
            made = extract.execute("SELECT sql FROM source.sqlite_master WHERE sql NOT NULL ORDER BY rowid").fetchall()
            for (sql,) in made:
                extract.execute(sql)
            for table in _tables(extract):
                extract.execute(f"INSERT INTO main.{table} SELECT * FROM source.{table}")
            _finish(extract, source)
            extract.execute(f"PRAGMA main.user_version = {version:d}")
            extract.execute("COMMIT")
        sync(partial_file)
        _delete(target, but_file=True)
        partial_file.rename(target)
        sync(target.parent)
    except BaseException:
        _delete(partial_file)
        raise


def _finish(extract: sqlite3.Connection, source: Path) -> None:
    """Make a sound store without events of what was copied: the counters fit, and events go on with the next row id."""
    extract.execute(f"DELETE FROM main.meta WHERE {_NO_META}")
    extract.execute(
        "INSERT INTO main.counters (name, value) SELECT 'purged', value FROM main.counters WHERE name = 'stored'"
        " ON CONFLICT (name) DO UPDATE SET value = excluded.value"
    )
    extract.execute(
        "INSERT OR REPLACE INTO main.meta (name, value) VALUES (?, ?)", (_SOURCE, _name_of(source, extract))
    )


def _tables(extract: sqlite3.Connection) -> list[str]:
    rows = extract.execute("SELECT name FROM source.sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    return [name for (name,) in rows if name not in _LEFT_OUT]


def _open(path: Path, given_up: Flag) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"file:{quote(str(path))}", uri=True, isolation_level=None, timeout=BUSY_TIMEOUT_MS / 1000
    )
    connection.set_progress_handler(lambda: int(given_up.is_set()), _PROGRESS_STEPS)
    return connection


def _attach(extract: sqlite3.Connection, source: Path) -> None:
    extract.execute("ATTACH ? AS source", (f"file:{quote(str(source))}?mode=ro",))


def _name_of(source: Path, extract: sqlite3.Connection) -> str:
    """Return what tells one store's file from another's, also after it was moved or its place in the disk given away."""
    (begun,) = extract.execute("SELECT MIN(applied_us) FROM source.migrations").fetchone()
    return f"{identity(source)} {begun}"


def _delete(path: Path, *, but_file: bool = False) -> None:
    for suffix in (*SUFFIXES[but_file:], _JOURNAL):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
