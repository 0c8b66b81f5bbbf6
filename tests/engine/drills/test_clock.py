"""A clock that jumps back and forth costs no event, no order of storing, and no roll-up."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
import random
import shutil
from zoneinfo import ZoneInfo

import pytest

from homeiq_engine.model import EventKind, EventQuery, RawEvent, RollUp, RollUpQuery, Span
from homeiq_engine.store import Follower, RollUps, Store
from tests.engine.pipeline.parts import pipeline
from tests.engine.store.samples import T0_US, ManualClock, all_events, raw

_HOUR_US = 3_600_000_000
_ENTITIES = tuple(f"sensor.s{number}" for number in range(5))
# What a battery-less clock, a time server and a person may do to a clock.
_JUMPS_US = (-30 * 24 * _HOUR_US, 30 * 24 * _HOUR_US, -_HOUR_US, _HOUR_US, -1, 5 * _HOUR_US, -24 * _HOUR_US)
_FAR_US = 60 * 24 * _HOUR_US
_ZONE = ZoneInfo("Europe/Berlin")


@pytest.fixture
async def store(path: Path, clock: ManualClock) -> AsyncIterator[Store]:
    """Return an open, empty store."""
    store = Store(path, clock)
    await store.open()
    yield store
    await store.close()


@pytest.fixture
def clock() -> ManualClock:
    """Return a clock that the drill sets."""
    return ManualClock()


async def _run_home(store: Store, clock: ManualClock, rounds: int) -> int:
    """Store numbered events round by round, the clock jumping in between, and roll up meanwhile; return how many."""
    chance = random.Random(20261124)
    home = pipeline(store, clock=clock)
    roll_ups = RollUps(store, lambda: _ZONE)
    number, changed = 0, dict.fromkeys(_ENTITIES, clock.us)
    for jump in range(rounds):
        for _ in range(50):
            number += 1
            entity_id = chance.choice(_ENTITIES)
            home.buffer.offer(
                RawEvent(
                    kind=EventKind.STATE,
                    time_us=clock.us,
                    entity_id=entity_id,
                    state=str(number),
                    old_state=str(number - 1),
                    old_changed_us=changed[entity_id],
                )
            )
            changed[entity_id] = clock.us
            clock.us += chance.randint(0, _HOUR_US // 10)
        await home.flush()
        await roll_ups.update(clock.us)
        clock.us += _JUMPS_US[jump % len(_JUMPS_US)]
    return number


async def test_events_keep_the_order_of_storing_when_the_clock_jumps(store: Store, clock: ManualClock) -> None:
    number = await _run_home(store, clock, 14)

    followed = await Follower(store, "drill").events_after(0, 10_000)
    queried = await all_events(store)
    counters = (await store.stats()).counters
    assert [event.state for event in followed] == [str(count) for count in range(1, number + 1)]
    assert [event.time_us for event in queried] == sorted(event.time_us for event in followed)
    assert sorted(event.id or 0 for event in queried) == [event.id for event in followed]
    assert counters["stored"] == number
    assert counters.get("duplicates", 0) == 0
    assert all(event.held_us is None or event.held_us >= 0 for event in followed)


async def test_a_page_goes_on_where_the_last_one_ended_when_the_clock_jumps(store: Store, clock: ManualClock) -> None:
    await _run_home(store, clock, 14)

    whole = (await store.query(EventQuery(limit=10_000))).events
    paged = await all_events(store, limit=37)
    assert tuple(paged) == whole


async def test_roll_ups_made_while_the_clock_jumped_equal_those_made_at_once(
    store: Store, clock: ManualClock, path: Path, tmp_path: Path
) -> None:
    await _run_home(store, clock, 14)
    clock.us += _FAR_US
    await RollUps(store, lambda: _ZONE).update(clock.us)
    anew = await _without_roll_ups(store, path, tmp_path / "anew.db", clock)
    await RollUps(anew, lambda: _ZONE).update(clock.us)

    hours, days = [await _roll_ups(store, span) for span in Span]
    assert [await _roll_ups(anew, span) for span in Span] == [hours, days]
    assert sum(item.events for item in hours) == sum(item.events for item in days) == 14 * 50
    await anew.close()


async def _roll_ups(store: Store, span: Span) -> Sequence[RollUp]:
    """Return the roll-ups of all entities, silent buckets included."""
    found: list[RollUp] = []
    for entity_id in _ENTITIES:
        query = RollUpQuery(
            entity_ids=(entity_id,), start_us=T0_US - _FAR_US, end_us=T0_US + 3 * _FAR_US, span=span, limit=10_000
        )
        found += await RollUps(store, lambda: _ZONE).query(query)
    return found


async def _without_roll_ups(store: Store, path: Path, copy: Path, clock: ManualClock) -> Store:
    """Return a store of the same events that has never rolled anything up."""
    raw(path, "PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copy(path, copy)
    for table in ("rollups", "rollup_due"):
        raw(copy, f"DELETE FROM {table}")
    raw(copy, "DELETE FROM meta WHERE name LIKE 'rollup%'")
    return Store(copy, clock)
