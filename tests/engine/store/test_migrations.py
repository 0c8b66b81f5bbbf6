"""The schema is created and upgraded in steps that may be interrupted anywhere, and never touches what is not ours."""

from pathlib import Path
import sqlite3

import pytest

from homeiq_engine.model import StoreDamagedError, StoreNewerError
from homeiq_engine.store import SCHEMA_VERSION, Store
from homeiq_engine.store._connection import close, connect, prepare_writer, transaction
from homeiq_engine.store._dimensions import Dimensions
from homeiq_engine.store._migrations import APPLICATION_ID, MIGRATIONS, Migration, identify, migrate
from homeiq_engine.store._writing import write_batch
from tests.engine.store.samples import T0_US, ManualClock, all_events, event, events, raw, without_id

SCHEMAS = Path(__file__).parent / "schemas"
_SCHEMA = "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY rowid"
_NEXT = Migration(
    version=SCHEMA_VERSION + 1,
    name="a test's own",
    statements=(
        "CREATE TABLE extra (id INTEGER PRIMARY KEY)",
        "INSERT INTO extra SELECT id FROM events",
        "ALTER TABLE events ADD COLUMN extra INTEGER",
        "CREATE INDEX events_by_extra ON events (extra)",
    ),
)


def _frozen(version: int) -> list[str]:
    return (SCHEMAS / f"v{version}.sql").read_text().removesuffix(";\n").split(";\n\n")


async def test_a_new_store_has_the_frozen_schema(store: Store, path: Path) -> None:
    """A released schema never changes: what is made today is, to the letter, what was frozen."""
    assert [row[0] for row in raw(path, _SCHEMA)] == _frozen(SCHEMA_VERSION)
    assert raw(path, "PRAGMA user_version") == [(SCHEMA_VERSION,)]
    assert raw(path, "PRAGMA application_id") == [(APPLICATION_ID,)]
    assert raw(path, "PRAGMA auto_vacuum") == [(2,)]
    assert raw(path, "PRAGMA journal_mode") == [("wal",)]


def test_every_released_schema_is_frozen() -> None:
    """There is a frozen copy of each version up to the present one, and none beyond."""
    assert sorted(file.name for file in SCHEMAS.iterdir()) == [f"v{step.version}.sql" for step in MIGRATIONS]


async def test_applied_steps_are_remembered(store: Store, path: Path) -> None:
    """Each step leaves its name and time."""
    assert raw(path, "SELECT * FROM migrations") == [(step.version, step.name, T0_US) for step in MIGRATIONS]


async def test_an_upgrade_keeps_what_is_stored(path: Path, clock: ManualClock) -> None:
    """A further step runs once on a filled store and every event is still there."""
    store = Store(path, clock)
    await store.append(events(20))
    await store.close()
    connection = await connect(path)

    ran = [await migrate(connection, 5, (*MIGRATIONS, _NEXT)) for _ in range(2)]
    await close(connection)

    assert ran == [1, 0]
    assert raw(path, "SELECT COUNT(*) FROM extra") == [(20,)]
    assert raw(path, "SELECT version, applied_us FROM migrations") == [
        *((step.version, T0_US) for step in MIGRATIONS),
        (SCHEMA_VERSION + 1, 5),
    ]


_INTERRUPTIONS = [(step, at) for step in (*MIGRATIONS, _NEXT) for at in range(len(step.statements) + 1)]


@pytest.mark.parametrize(("step", "at"), _INTERRUPTIONS, ids=lambda value: getattr(value, "name", value))
async def test_an_interrupted_step_leaves_the_old_schema_and_resumes(path: Path, step: Migration, at: int) -> None:
    """Wherever a step is interrupted, nothing of it is left, and the next start does all of it."""
    path.parent.mkdir()
    before = [known for known in MIGRATIONS if known.version < step.version]
    statements = [*step.statements[:at], "SELECT no_such_function()", *step.statements[at:]]
    broken = Migration(version=step.version, name=step.name, statements=statements)
    connection = await connect(path)
    for known in (tuple(before),) * bool(before):
        await migrate(connection, 1, known)
    old_schema = raw(path, _SCHEMA)

    with pytest.raises(sqlite3.OperationalError):
        await migrate(connection, 2, (*before, broken))
    after_failure = (raw(path, _SCHEMA), raw(path, "PRAGMA user_version"))
    ran = await migrate(connection, 3, (*before, step))
    await close(connection)

    assert after_failure == (old_schema, [(step.version - 1,)])
    assert ran == 1
    assert raw(path, "PRAGMA user_version") == [(step.version,)]


async def test_a_process_that_dies_within_a_step_leaves_the_old_schema(path: Path) -> None:
    """A connection that ends in the middle of a step, as a killed process does, has changed nothing."""
    path.parent.mkdir()
    connection = await connect(path)
    await connection.execute("BEGIN IMMEDIATE")
    for statement in MIGRATIONS[0].statements[:5]:
        await connection.execute(statement)
    await close(connection)
    connection = await connect(path)

    assert await migrate(connection, 1) == len(MIGRATIONS)
    await close(connection)


@pytest.mark.parametrize("version", range(1, SCHEMA_VERSION))
async def test_a_store_of_each_released_schema_is_upgraded_with_its_events(
    path: Path, clock: ManualClock, version: int
) -> None:
    """What was frozen, filled with events, becomes what is made today, and every event is still there."""
    older = tuple(step for step in MIGRATIONS if step.version <= version)
    path.parent.mkdir()
    connection = await connect(path)
    await prepare_writer(connection)
    await migrate(connection, 1, older)
    dimensions = Dimensions()
    await dimensions.load(connection)
    async with transaction(connection):
        await write_batch(connection, dimensions, events(700), 1, {"stored": 700})
    await close(connection)
    assert [row[0] for row in raw(path, _SCHEMA)] == _frozen(version)

    store = Store(path, clock)
    kept = await all_events(store)
    stats = await store.stats()
    await store.close()

    assert [without_id(one) for one in kept] == events(700)
    assert stats.counters == {"stored": 700}
    assert sorted(row[0] for row in raw(path, _SCHEMA)) == sorted(_frozen(SCHEMA_VERSION))


def _newer(path: Path, clock_mode: str) -> bytes:
    path.parent.mkdir()
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA journal_mode = {clock_mode}")
    connection.execute("CREATE TABLE events (new_world)")
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    connection.commit()
    connection.close()
    return path.read_bytes()


@pytest.mark.parametrize("mode", ["DELETE", "WAL"])
async def test_a_newer_store_is_refused_and_not_touched(path: Path, clock: ManualClock, mode: str) -> None:
    """The file of a newer HomeIQ stays to the byte what it was, under its name."""
    content = _newer(path, mode)
    store = Store(path, clock)

    with pytest.raises(StoreNewerError) as refused:
        await store.open()
    with pytest.raises(StoreNewerError):
        await store.append(events(1))
    await store.close()

    assert refused.value.placeholders == {
        "reason": "newer",
        "found": str(SCHEMA_VERSION + 1),
        "known": str(SCHEMA_VERSION),
    }
    assert path.read_bytes() == content
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize(
    "pragmas",
    [
        (),
        ("user_version = 1",),
        ("user_version = 7",),
        ("application_id = 5",),
        ("application_id = 5", "user_version = 1"),
    ],
)
async def test_another_programs_database_is_set_aside_to_the_byte(
    path: Path, clock: ManualClock, pragmas: tuple[str, ...]
) -> None:
    """A database that is not ours is renamed unchanged, whatever version it claims, and a new store begins."""
    path.parent.mkdir()
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE photos (id)")
    connection.execute("INSERT INTO photos VALUES (1)")
    for pragma in pragmas:
        connection.execute(f"PRAGMA {pragma}")
    connection.commit()
    connection.close()
    content = path.read_bytes()
    store = Store(path, clock)

    assert await store.append([event()]) == 1

    (aside,) = store.set_aside
    assert aside.read_bytes() == content
    assert len(await all_events(store)) == 1
    await store.close()


async def test_an_empty_database_that_claims_a_version_is_not_ours(path: Path, clock: ManualClock) -> None:
    """A version alone makes no store of a file, nor a newer one."""
    path.parent.mkdir()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 7")
    connection.close()
    store = Store(path, clock)
    await store.append([event()])

    assert len(store.set_aside) == 1
    await store.close()


async def test_identifying_reads_only(path: Path) -> None:
    """Looking at an empty file finds version 0 and leaves it empty; a foreign one is told."""
    path.parent.mkdir()
    connection = await connect(path)
    assert await identify(connection) == 0
    await close(connection)
    assert path.read_bytes() == b""

    connection = await connect(path)
    await connection.execute("CREATE TABLE t (x)")
    with pytest.raises(StoreDamagedError):
        await identify(connection)
    await close(connection)
