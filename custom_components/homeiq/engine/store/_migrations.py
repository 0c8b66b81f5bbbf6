"""Create and upgrade the store's schema in named, transactional steps.

A released step is never edited: a frozen copy of each released schema stands in the tests. ``PRAGMA user_version`` is
the version, ``PRAGMA application_id`` marks the file as ours.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import aiosqlite

from ..model import StoreDamagedError, StoreNewerError

APPLICATION_ID: Final = 0x484D4951  # "HMIQ"


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """Hold the statements that bring the schema to ``version``; they run in one transaction."""

    version: int
    name: str
    statements: Sequence[str]


MIGRATIONS: Final[Sequence[Migration]] = (
    Migration(
        version=1,
        name="initial",
        statements=(
            "CREATE TABLE migrations (version INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_us INTEGER NOT NULL)",
            "CREATE TABLE entities (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE)",
            "CREATE TABLE texts (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE)",
            "CREATE TABLE actors (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE)",
            "CREATE TABLE facts (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE)",
            # Long JSON: found by hash, because a unique index on the text would store it twice.
            "CREATE TABLE payloads (id INTEGER PRIMARY KEY, hash INTEGER NOT NULL, key TEXT NOT NULL)",
            "CREATE INDEX payloads_by_hash ON payloads (hash)",
            # A state is a number, which is a reference into texts, or text, which is the state itself, see _rows.py; so the
            # columns have no type that would turn one into the other.
            # at is microseconds since 2029, see _times.py. context and parent are ULIDs of 16 bytes, or 10 where they share
            # the event's millisecond, or text where a caller made its own id.
            """CREATE TABLE events (
                id INTEGER PRIMARY KEY,
                at INTEGER NOT NULL,
                kind INTEGER NOT NULL,
                origin INTEGER NOT NULL,
                entity INTEGER,
                state,
                old_state,
                held_us INTEGER,
                payload INTEGER,
                name INTEGER,
                context BLOB,
                parent BLOB,
                user INTEGER,
                responsible INTEGER,
                facts INTEGER
            )""",
            "CREATE INDEX events_by_entity ON events (entity, at)",
            "CREATE INDEX events_by_time ON events (at)",
            "CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
            "CREATE TABLE cursors (name TEXT PRIMARY KEY, row_id INTEGER NOT NULL) WITHOUT ROWID",
            "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
        ),
    ),
    Migration(
        version=2,
        name="dead letters",
        statements=(
            # What a replica refused, with the server's words. entity is there for purge_entity, at is as in events.
            """CREATE TABLE dead_letters (
                id INTEGER PRIMARY KEY,
                replica TEXT NOT NULL,
                event INTEGER NOT NULL,
                at INTEGER NOT NULL,
                entity INTEGER,
                line TEXT NOT NULL,
                status INTEGER,
                words TEXT NOT NULL,
                noted_us INTEGER NOT NULL,
                UNIQUE (replica, event)
            )""",
        ),
    ),
    Migration(
        version=3,
        name="roll-ups",
        statements=(
            # start and until are as at in events; until is NULL for hours (span 0). low to rise are NULL where no number
            # was in force. states is JSON, microseconds by state. state, number and peak are what the next bucket goes on
            # from, see _rollup_fold.py. last_event tells whether all events that were counted are still there.
            """CREATE TABLE rollups (
                entity INTEGER NOT NULL,
                span INTEGER NOT NULL,
                start INTEGER NOT NULL,
                until INTEGER,
                events INTEGER NOT NULL,
                changes INTEGER NOT NULL,
                low REAL,
                high REAL,
                mean REAL,
                rise REAL,
                states TEXT,
                state TEXT,
                number REAL,
                peak REAL,
                last_event INTEGER NOT NULL,
                PRIMARY KEY (entity, span, start)
            ) WITHOUT ROWID""",
            # Buckets that have events, or a state to begin with, that their roll-up does not know of yet.
            """CREATE TABLE rollup_due (
                entity INTEGER NOT NULL,
                span INTEGER NOT NULL,
                start INTEGER NOT NULL,
                until INTEGER NOT NULL,
                PRIMARY KEY (entity, span, start)
            ) WITHOUT ROWID""",
        ),
    ),
    Migration(
        version=4,
        name="indexes of rare events",
        statements=(
            # A page of what hardly or never occurs would look at every event: 1,000 ms at 10 million, 0.3 ms with these.
            # Without the common values they cost 2.1 bytes per event where 12 % are no device's, see docs/benchmarks.md.
            "CREATE INDEX events_by_kind ON events (kind, at) WHERE kind > 1",
            "CREATE INDEX events_by_origin ON events (origin, at) WHERE origin > 0",
        ),
    ),
)
SCHEMA_VERSION: Final = MIGRATIONS[-1].version


async def identify(connection: aiosqlite.Connection, newest: int = SCHEMA_VERSION) -> int:
    """Return the schema version of the open database, 0 for an empty one; only reads.

    Raises StoreDamagedError if the file is another program's database and StoreNewerError if its schema is newer than
    ``newest``.
    """
    version = await _pragma(connection, "user_version")
    application = await _pragma(connection, "application_id")
    if application != APPLICATION_ID and (application or version or await _has_tables(connection)):
        raise StoreDamagedError("the file is a database, but not a HomeIQ store", reason="damaged")
    if version > newest:
        raise StoreNewerError(
            f"store schema {version} is newer than {newest}", reason="newer", found=str(version), known=str(newest)
        )
    return version


async def migrate(connection: aiosqlite.Connection, now_us: int, migrations: Sequence[Migration] = MIGRATIONS) -> int:
    """Bring the open database up to the newest schema and return how many steps ran.

    Each step commits with its version, so an interrupted upgrade resumes at the first step that did not finish.
    Raises StoreDamagedError if the file is another program's database and StoreNewerError if a newer HomeIQ wrote it.
    """
    version = await identify(connection, migrations[-1].version)
    pending = [step for step in migrations if step.version > version]
    for step in pending:
        await connection.execute("BEGIN IMMEDIATE")
        try:
            for statement in step.statements:
                await connection.execute(statement)
            await connection.execute(
                "INSERT INTO migrations (version, name, applied_us) VALUES (?, ?, ?)",
                (step.version, step.name, now_us),
            )
            await connection.execute(f"PRAGMA user_version = {step.version:d}")
            await connection.execute(f"PRAGMA application_id = {APPLICATION_ID:d}")
            await connection.commit()
        except BaseException:
            await connection.rollback()
            raise
    return len(pending)


async def _pragma(connection: aiosqlite.Connection, name: str) -> int:
    (row,) = await connection.execute_fetchall(f"PRAGMA {name}")
    return int(row[0])


async def _has_tables(connection: aiosqlite.Connection) -> bool:
    return bool(list(await connection.execute_fetchall("SELECT 1 FROM sqlite_master LIMIT 1")))
