"""The store takes batches whole or not at all, counts them, and answers queries page by page."""

import asyncio
from pathlib import Path
import sqlite3
from typing import Any

from hypothesis import given, settings, strategies as st
import pytest

from homeiq_engine.model import EventKind, EventQuery, Origin, QueryError, StoreError
from homeiq_engine.store import MAX_LIMIT, Follower, Store, cursors
from homeiq_engine.store._connection import transaction
from tests.engine.store.samples import T0_US, ManualClock, all_events, event, events, raw, without_id


async def test_an_empty_store_answers(store: Store) -> None:
    """Nothing stored gives empty answers, not errors."""
    stats = await store.stats()

    assert (stats.events, stats.oldest_us, stats.newest_us, stats.counters) == (0, None, None, {})
    assert stats.size_bytes > 0
    assert (await store.query(EventQuery())).events == ()
    assert await store.last_row_id() == 0
    assert await store.counts_since(0) == {}


async def test_counters_are_added_up(store: Store) -> None:
    """Increments of batches, of the store's own and of single calls add up; a nought leaves no trace."""
    await store.append(events(3), {"lost": 2, "filtered": 0})
    await store.append(events(4, first=3), {"lost": 1})
    await store.count({"lost": 10, "odd": 1})

    stats = await store.stats()

    assert stats.counters == {"stored": 7, "lost": 13, "odd": 1}
    assert (stats.events, stats.oldest_us, stats.newest_us) == (7, T0_US, T0_US + 6000)


async def test_counters_commit_with_their_events_or_not_at_all(store: Store, path: Path) -> None:
    """A batch that fails on its way leaves neither rows nor texts nor counters behind."""
    await store.append(events(2), {"lost": 1})
    with pytest.raises(OverflowError):
        await store.append([*events(600), event(1, time_us=2**64)], {"lost": 5})

    stats = await store.stats()

    assert stats.counters == {"stored": 2, "lost": 1}
    assert raw(path, "SELECT COUNT(*) FROM events") == [(2,)]


async def test_row_ids_go_on_after_a_failed_batch(store: Store) -> None:
    """The ids that a failed batch would have had are given to the next one, texts' ids too."""
    await store.append([event(0, state="on")])
    with pytest.raises(OverflowError):
        await store.append([event(1, state="half"), event(1, time_us=2**64)])
    await store.append([event(2, state="half"), event(3, state="on")])

    found = await store.events_after(0, 10)

    assert [(one.id, one.state) for one in found] == [(1, "on"), (2, "half"), (3, "on")]


@pytest.mark.parametrize("newest_first", [False, True])
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_paging_is_complete_and_stable(
    newest_first: bool, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Pages of any size give every event once in order, also where many events share one time."""
    times = data.draw(st.lists(st.integers(0, 4), min_size=1, max_size=40))
    limit = data.draw(st.integers(1, 7))
    entity_ids = data.draw(st.sampled_from([None, tuple(f"sensor.s{number}" for number in range(7))]))

    async def pages() -> list[tuple[int, int | None]]:
        store = Store(tmp_path_factory.mktemp("paging") / "homeiq.db", ManualClock())
        try:
            await store.append([event(number, time_us=time_us) for number, time_us in enumerate(times)])
            found = await all_events(store, limit=limit, newest_first=newest_first, entity_ids=entity_ids)
            return [(one.time_us, one.id) for one in found]
        finally:
            await store.close()

    found = asyncio.run(pages())

    expected = sorted(zip(times, range(1, len(times) + 1), strict=True), reverse=newest_first)
    assert found == expected


@pytest.mark.parametrize("newest_first", [False, True])
async def test_events_stored_between_two_pages_disturb_neither(store: Store, newest_first: bool) -> None:
    """Every event that was there when paging began is seen exactly once, whatever is stored meanwhile."""
    await store.append([event(number, time_us=T0_US + number // 10) for number in range(100)])
    first = await store.query(EventQuery(limit=37, newest_first=newest_first))
    await store.append([event(number, time_us=T0_US + number // 10) for number in range(100)])
    second = await store.query(EventQuery(limit=10_000, newest_first=newest_first, cursor=first.next_cursor))

    seen = [one.id or 0 for one in (*first.events, *second.events)]

    assert len(seen) == len(set(seen))
    assert [number for number in seen if number <= 100] == sorted(range(1, 101), reverse=newest_first)


async def test_queries_select(store: Store) -> None:
    """Entities, times, kinds and origins narrow the answer; an unknown entity gives nothing."""
    await store.append(
        [
            event(0, entity_id="light.a", origin=Origin.USER),
            event(1, entity_id="light.b", kind=EventKind.ATTRIBUTES),
            event(2, entity_id=None, kind=EventKind.CALL, name="light.turn_on", state=None, origin=Origin.USER),
            event(3, entity_id="light.a", origin=Origin.SCENE),
        ]
    )

    async def ids(**wanted: object) -> list[int | None]:
        return [one.id for one in (await store.query(EventQuery(**wanted))).events]

    assert await ids(entity_ids=("light.a",)) == [1, 4]
    assert await ids(entity_ids=("light.a",), newest_first=True) == [4, 1]
    assert await ids(entity_ids=("light.a", "light.b", "light.none")) == [1, 2, 4]
    assert await ids(entity_ids=("light.none",)) == []
    assert await ids(entity_ids=()) == []
    assert await ids(start_us=T0_US + 1000, end_us=T0_US + 3000) == [2, 3]
    assert await ids(kinds=(EventKind.CALL, EventKind.ATTRIBUTES)) == [2, 3]
    assert await ids(origins=(Origin.USER,), kinds=(EventKind.STATE,)) == [1]
    assert await ids(kinds=()) == []


async def test_thousands_of_entities_may_be_asked_for(store: Store) -> None:
    """A query with more entities than SQLite takes variables is answered."""
    await store.append(events(3))

    page = await store.query(EventQuery(entity_ids=tuple(f"sensor.s{number}" for number in range(40_000))))

    assert len(page.events) == 3


@pytest.mark.parametrize("newest_first", [False, True])
async def test_a_page_of_one_entity_costs_a_page(store: Store, path: Path, newest_first: bool) -> None:
    """One entity's page is read along the index, without sorting all that the entity ever did."""
    connection = sqlite3.connect(path)
    order = "DESC" if newest_first else "ASC"
    plan = connection.execute(
        f"EXPLAIN QUERY PLAN SELECT id FROM events WHERE entity = ? ORDER BY at {order}, id {order} LIMIT 10", (1,)
    )
    seen = [row[3] for row in plan]
    connection.close()

    assert seen == ["SEARCH events USING COVERING INDEX events_by_entity (entity=?)"]


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": MAX_LIMIT + 1}, "limit"),
        ({"start_us": 5, "end_us": 5}, "end"),
        ({"start_us": 2**63}, "start"),
        ({"end_us": -(2**64)}, "end"),
        ({"cursor": "x"}, "cursor"),
        ({"cursor": "1-"}, "cursor"),
        ({"cursor": "1-2-3"}, "cursor"),
        ({"cursor": "٣-1"}, "cursor"),
        ({"cursor": "9999999999999999999-1"}, "cursor"),
        ({"cursor": "1-" + "9" * 30}, "cursor"),
    ],
)
async def test_a_query_that_does_not_fit_names_its_field(store: Store, wanted: dict[str, object], field: str) -> None:
    """Bad limits, ranges and cursors are refused with the field and the value."""
    with pytest.raises(QueryError) as refused:
        await store.query(EventQuery(**wanted))

    assert refused.value.placeholders["field"] == field


async def test_dedupe_stores_each_event_once(store: Store) -> None:
    """What is stored already, by entity, time, kind and state or name, is left out and counted; the rest is kept."""
    call = event(5, entity_id=None, kind=EventKind.CALL, state=None, name="light.turn_on")
    known = [event(0), event(1, state="on"), event(2, state=None), call]
    await store.append(known)
    fresh = [
        event(0, entity_id="sensor.other"),
        event(0, state="77"),
        event(0, kind=EventKind.ATTRIBUTES),
        event(1, time_us=T0_US + 1001, state="on"),
        event(5, entity_id=None, kind=EventKind.CALL, state=None, name="light.turn_off"),
    ]

    stored = await store.append([*known, *fresh, *fresh], dedupe=True)

    assert stored == len(fresh)
    assert (await store.stats()).counters == {"stored": 9, "duplicates": 9}
    assert [without_id(one) for one in await store.events_after(4, 100)] == fresh


async def test_dedupe_looks_at_every_time_of_a_long_batch(store: Store) -> None:
    """Batches with more times than one look-up holds are compared whole."""
    await store.append(events(1000))

    assert await store.append(events(1200), dedupe=True) == 200
    await store.append(events(1, first=1200))
    assert await store.last_row_id() == 1201


async def test_without_dedupe_equal_events_are_two(store: Store) -> None:
    """Live events are never taken for repetitions."""
    await store.append([event(0), event(0)])

    assert len(await store.events_after(0, 10)) == 2


async def test_texts_are_remembered(store: Store) -> None:
    """What was remembered under a name is read back as it was set last."""
    assert await store.get_meta("a") is None
    await store.set_meta("a", "x")
    await store.set_meta("a", "y")
    await store.set_meta("b", "z")

    assert (await store.get_meta("a"), await store.get_meta("b")) == ("y", "z")


async def test_events_are_followed_in_the_order_of_storing(store: Store) -> None:
    """A follower sees late events too: row ids, not times, are its order."""
    await store.append([event(5), event(1)])
    await store.append([event(3)])

    assert [one.time_us for one in await store.events_after(1, 10)] == [T0_US + 1000, T0_US + 3000]
    assert await store.last_row_id() == 3


async def test_counts_since_a_time_are_by_entity(store: Store) -> None:
    """Events without an entity count under None, those before the time not at all."""
    await store.append(
        [event(0, entity_id="a.a"), event(1, entity_id="a.a"), event(2, entity_id="a.a"), event(3, entity_id=None)]
    )

    assert await store.counts_since(T0_US + 1000) == {"a.a": 2, None: 1}


async def test_readers_read_while_the_writer_writes(store: Store) -> None:
    """Readers see whole batches only, and a writer never waits for them."""

    async def write() -> None:
        for number in range(30):
            await store.append(events(100, first=number * 100))

    async def read() -> list[int]:
        seen: list[int] = []
        for _ in range(30):
            seen.append((await store.stats()).events)
            await asyncio.sleep(0)
        return seen

    _, first, second = await asyncio.gather(write(), read(), read())

    assert [count % 100 for count in (*first, *second)] == [0] * 60
    assert first == sorted(first)
    assert (await store.stats()).events == 3000


async def test_writers_take_turns(store: Store) -> None:
    """Appends, counters and cursors from many tasks at once are all done, each whole."""
    await asyncio.gather(
        *(store.append(events(50, first=number * 50), {"lost": 1}) for number in range(20)),
        *(Follower(store, f"c{number}").advance(number) for number in range(20)),
        *(store.count({"odd": 1}) for _ in range(20)),
    )

    stats = await store.stats()

    assert stats.counters == {"stored": 1000, "lost": 20, "odd": 20}
    assert await cursors(store) == {f"c{number}": number for number in range(20)}


async def test_a_closed_store_says_so(store: Store, path: Path) -> None:
    """After closing, everything is in the one file, and every call names the reason."""
    await store.append(events(3))
    await store.close()
    await store.close()

    assert [file.name for file in path.parent.iterdir()] == ["homeiq.db"]
    with pytest.raises(StoreError) as written:
        await store.append(events(1))
    with pytest.raises(StoreError) as read:
        await store.query(EventQuery())
    assert (written.value.placeholders["reason"], read.value.placeholders["reason"]) == ("closed", "closed")


async def test_a_store_may_be_closed_before_it_was_opened(path: Path, clock: ManualClock) -> None:
    """Closing what was never used creates nothing."""
    await Store(path, clock).close()

    assert not path.parent.exists()


async def test_the_store_opens_itself(path: Path, clock: ManualClock) -> None:
    """The first use opens the store, a read as well as a write."""
    store = Store(path, clock)

    assert await store.get_meta("x") is None
    await store.close()


async def test_row_ids_are_never_used_again(path: Path, clock: ManualClock) -> None:
    """Deleting the newest events and opening the store anew does not give their ids away, or followers would skip."""
    store = Store(path, clock)
    await store.append(events(10))
    assert await store.purge_before(T0_US + 1_000_000) == 10
    await store.close()
    again = Store(path, clock)
    await again.append(events(1))

    assert [one.id for one in await again.events_after(0, 10)] == [11]
    await again.close()


async def test_a_transaction_that_fails_to_begin_breaks_nothing(store: Store) -> None:
    """BEGIN inside a transaction is refused, rolls nothing back, and the store goes on."""
    await store.append(events(1))
    writer = store._writer
    async with transaction(writer):
        await writer.execute("INSERT INTO counters VALUES ('x', 1)")
        with pytest.raises(sqlite3.OperationalError):
            async with transaction(writer):
                pass

    assert (await store.stats()).counters["x"] == 1
    assert await store.append(events(1, first=1)) == 1


async def test_a_forgotten_transaction_does_not_stop_the_store(store: Store) -> None:
    """A connection left inside a transaction is closed, and the next try succeeds on a new one."""
    await store.append(events(1))
    await store._writer.execute("BEGIN")
    with pytest.raises(StoreError):
        await store.append(events(1, first=1))

    assert await store.append(events(1, first=1)) == 1
    assert (await store.stats()).events == 2


async def test_the_wal_shrinks_after_a_long_reader(store: Store, path: Path) -> None:
    """A reader that stays for long lets the WAL grow; when it is gone the WAL is cut to its limit again."""
    await store.append(events(10))
    reader = sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT COUNT(*) FROM events").fetchone()
    for number in range(12):
        await store.append([event(i, payload=f"{number}-{i}" + "x" * 4000) for i in range(500)])
    wal = path.with_name("homeiq.db-wal")
    grown = wal.stat().st_size
    reader.execute("COMMIT")
    reader.close()
    await store.append(events(10))
    await store.append(events(10))

    assert grown > 20_000_000
    assert wal.stat().st_size <= 16 * 1024 * 1024


async def test_since_when_nobody_listened_is_noted_until_it_has_been_seen_to(path: Path) -> None:
    """The time of the newest event, less what an open batch may have held; the future is not believed."""
    clock = ManualClock(T0_US + 60_000_000)
    assert await _unheard(path, clock, events(2), event(2, time_us=T0_US + 3_600_000_000)) is None
    since = T0_US + 1_000_000 - 5_000_000
    assert await _unheard(path, clock, event(3, time_us=T0_US + 1_000_000)) == T0_US + 1000 - 5_000_000
    assert await _unheard(path, clock) == T0_US + 1000 - 5_000_000
    store = Store(path, clock)
    await store.forget_unheard()
    assert await store.unheard_since() is None
    await store.close()
    assert await _unheard(path, clock) == since


async def _unheard(path: Path, clock: ManualClock, *stored: Any) -> int | None:
    store = Store(path, clock)
    since = await store.unheard_since()
    for part in stored:
        await store.append(part if isinstance(part, list) else [part])
    await store.close()
    return since
