"""Measure one store in a process of its own, without Home Assistant.

Job: {path, maintained}; the answer's keys are told by `script/bench --help`.
"""

import asyncio
from collections.abc import Awaitable
from contextlib import closing
from dataclasses import replace
import json
import logging
from pathlib import Path
import random
import sqlite3
import sys
import time
from typing import Final
from zoneinfo import ZoneInfo

if not __package__:  # Run by path.
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from _bench.common import Json
from _bench.engine import SystemClock
from _bench.store.queries import DAY_US, Home, Question, questions
from homeiq_engine.model import Event, EventKind, EventQuery, Origin
from homeiq_engine.store import Retention, RollUps, Store, read_acts, restore

_DAYS_AS_COLUMNS: Final = 5
_APPEND_GAP_S: Final = 0.02
_ZONE: Final = ZoneInfo("Europe/Berlin")


async def measure(job: Json) -> Json:
    """Open the store, ask it everything, then roll its newest events up and delete its oldest."""
    path = Path(job["path"])
    home = _home_of(path)
    store = Store(path, SystemClock())
    before = time.perf_counter()
    await store.open()
    open_ms = (time.perf_counter() - before) * 1e3
    try:
        asked = {name: await _ask(store, home, question) for name, question in questions().items()}
        columns = await _columns(path, home)
        roll_ups = await _upkeep(store, _roll_up(store, job["maintained"]))
        purge = await _upkeep(store, _purge(store, home, job["maintained"]))
    finally:
        await store.close()
    restored = await _restore(path)
    return {
        "open_ms": open_ms,
        "restore": restored,
        "queries": {**asked, "day_of_all_columns": columns},
        "purge": purge,
        "roll_ups": roll_ups,
    }


async def _ask(store: Store, home: Home, question: Question) -> Json:
    """Return the milliseconds of each asking, in order of size, and the rows of the largest answer."""
    chance = random.Random(20261124)
    times: list[float] = []
    most = 0
    for _ in range(question.count):
        query, rows = question.query(chance, home), 0
        before = time.perf_counter()
        page = await store.query(query)
        rows = len(page.events)
        while question.all_pages and page.next_cursor is not None:
            page = await store.query(replace(query, cursor=page.next_cursor))
            rows += len(page.events)
        times.append((time.perf_counter() - before) * 1e3)
        most = max(most, rows)
    return {"ms": sorted(times), "rows": most}


async def _columns(path: Path, home: Home) -> Json:
    """Return the same for random days of all entities as mining reads them: in arrays."""
    chance = random.Random(20261124)
    domains = sorted({entity.partition(".")[0] for entity in home.entities})
    times: list[float] = []
    most = 0
    for _ in range(_DAYS_AS_COLUMNS):
        start = chance.randint(home.start_us, max(home.end_us - DAY_US, home.start_us))
        before = time.perf_counter()
        columns = await asyncio.to_thread(read_acts, path, start, start + DAY_US, domains)
        times.append((time.perf_counter() - before) * 1e3)
        most = max(most, len(columns.time_us))
    return {"ms": sorted(times), "rows": most}


async def _purge(store: Store, home: Home, count: int) -> int:
    """Delete about so many of the oldest events, whole days, as retention does; a home has one a second."""
    retention = Retention(store, RollUps(store, lambda: _ZONE))
    before_us = home.start_us + count * 1_000_000 + DAY_US // 2
    deleted: int = await retention.purge_before(before_us, SystemClock().now_us(), {})
    return deleted


async def _roll_up(store: Store, count: int) -> int:
    """Roll the newest events up, as if all before them had been; return how many there were."""
    last = await store.last_row_id()
    await store.set_meta("rollup_cursor", str(last - count))
    await RollUps(store, lambda: _ZONE).update(SystemClock().now_us())
    return count


async def _upkeep(store: Store, work: Awaitable[int]) -> Json:
    """Do some upkeep while somebody appends; return events/s and what an append waited."""
    waits: list[float] = []
    done = asyncio.Event()
    appending = asyncio.create_task(_append(store, waits, done))
    before = time.perf_counter()
    events = await work
    spent = time.perf_counter() - before
    done.set()
    await appending
    return {"events": events, "events_per_s": events / spent, "append_ms": sorted(waits)}


async def _restore(source: Path) -> Json:
    """Restore the store's file into an empty store beside it, verified by count and content hash."""
    store = Store(source.with_name("restored") / source.name, SystemClock())
    before = time.perf_counter()
    await store.open()
    report = await restore(store, source)
    await store.query(EventQuery(limit=1))
    spent = time.perf_counter() - before
    await store.close()
    return {"seconds": spent, "events": report.events}


async def _append(store: Store, waits: list[float], done: asyncio.Event) -> None:
    number = 0
    while not done.is_set():
        number += 1
        event = Event(
            kind=EventKind.STATE,
            time_us=SystemClock().now_us(),
            origin=Origin.DEVICE,
            entity_id="sensor.meanwhile",
            state=str(number),
        )
        before = time.perf_counter()
        await store.append([event])
        waits.append((time.perf_counter() - before) * 1e3)
        await asyncio.sleep(_APPEND_GAP_S)


def _home_of(path: Path) -> Home:
    from homeiq_engine.store._times import from_column  # noqa: PLC0415 - the column's epoch is the room's own

    with closing(sqlite3.connect(path)) as connection:
        first, last = connection.execute("SELECT MIN(at), MAX(at) FROM events WHERE entity IS NOT NULL").fetchone()
        entities = [row[0] for row in connection.execute("SELECT key FROM entities ORDER BY id")]
    return Home(entities=entities, start_us=from_column(first), end_us=from_column(last) + 1)


def main() -> int:
    """Measure and print."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    answer = asyncio.run(measure(json.loads(sys.argv[1])))
    sys.stdout.write(f"{json.dumps(answer)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
