"""Cancelling whoever waits for the store neither harms the store nor leaves a batch half done."""

import asyncio

import pytest

from homeiq_engine.store import Follower, Store
from tests.engine.store.samples import all_events, events, raw


async def _turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


@pytest.mark.parametrize("turns", [0, 1, 2, 3, 4, 5, 8, 12, 20, 40, 80, 200])
async def test_a_cancelled_append_is_done_unless_it_was_never_begun(store: Store, turns: int) -> None:
    """Wherever the caller is cancelled: what was begun is stored whole, once, and the counter agrees."""
    await store.append(events(10))
    append = asyncio.ensure_future(store.append(events(1500, first=10), {"lost": 1}))
    await _turns(turns)
    append.cancel()
    await asyncio.wait((append,))
    await store.append(events(10, first=1510))

    found = [int(one.state or "") for one in await all_events(store)]
    begun = int(turns > 0)

    assert found == [*range(10), *range(10, 10 + 1500 * begun), *range(1510, 1520)]
    assert (await store.stats()).counters == {"stored": len(found)} | dict.fromkeys(["lost"] * begun, 1)


@pytest.mark.parametrize("turns", [1, 3, 6, 10, 30, 100])
async def test_even_the_work_itself_may_be_cancelled(store: Store, turns: int) -> None:
    """As when the loop ends: what was not committed is rolled back, and the store is usable, with right ids."""
    await store.append(events(10))
    append = asyncio.ensure_future(store.append(events(1500, first=10)))
    await _turns(turns)
    for task in list(store._tasks):
        task.cancel()
    await asyncio.wait((append,))
    await store.append(events(10, first=1510))

    found = await all_events(store)

    assert len(found) in (20, 1520)
    assert [one.id for one in found] == list(range(1, len(found) + 1))
    assert (await store.stats()).counters["stored"] == len(found)


@pytest.mark.parametrize("turns", [1, 2, 3, 5, 10])
async def test_a_cancelled_small_write_does_not_block_the_next(store: Store, turns: int) -> None:
    """Cursors set by a follower that is stopped meanwhile never leave a transaction open."""
    write = asyncio.ensure_future(Follower(store, "a").advance(1))
    await _turns(turns)
    write.cancel()
    await asyncio.wait((write,))
    await Follower(store, "a").advance(2)

    assert await Follower(store, "a").cursor() == 2


async def test_a_cancelled_reader_stops_reading(store: Store, path: object) -> None:
    """A long query is interrupted; its connection and thread are gone (the fixture looks)."""
    await store.append(events(2000))

    async def long_query() -> None:
        async with store.reader() as reader:
            await reader.execute_fetchall("SELECT COUNT(*) FROM events a, events b, events c WHERE a.id + b.id > c.id")

    query = asyncio.ensure_future(long_query())
    await asyncio.sleep(0.1)
    query.cancel()
    done, _ = await asyncio.wait((query,), timeout=5)

    assert done == {query}
    assert query.cancelled()


async def test_a_failure_that_nobody_waits_for_is_not_shouted_about(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    """A write that fails after its caller was cancelled leaves no "never retrieved" in the log."""
    bad = asyncio.ensure_future(store.append([*events(600), events(1, time_us=2**64)[0]]))
    await _turns(3)
    bad.cancel()
    await asyncio.wait((bad,))
    await store.append(events(1))

    assert caplog.records == []


async def test_closing_waits_for_what_was_begun(store: Store) -> None:
    """A batch on its way into the store is in it when the store is closed."""
    append = asyncio.ensure_future(store.append(events(1500)))
    await _turns(5)
    await store.close()

    assert await append == 1500
    assert raw(store.path, "SELECT COUNT(*) FROM events") == [(1500,)]
