"""The store and a replica are one history: whoever pages through it cannot tell where one ends."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from itertools import count
from typing import override

from hypothesis import HealthCheck, given, settings as hypothesis_settings, strategies as st
import pytest

from homeiq_engine.model import Event, EventPage, EventQuery, QueryError
from homeiq_engine.ports import HistoryReader
from homeiq_engine.replica import InfluxError, InfluxSettings, LayeredHistory, QueryLanguage, ReplicaHistory
from homeiq_engine.store import Store
from tests.servers.debian_servers import free_port

from .history import EVENTS, QUERIES, comparable, filled_store, kept, pages, replicate
from .samples import START_US, state_event, state_events, twins

pytestmark = pytest.mark.server
_HOMES = count(1)
_BORDERS = st.integers(START_US, START_US + 6)


def _replica(settings: InfluxSettings) -> ReplicaHistory:
    return ReplicaHistory(settings, language=QueryLanguage.INFLUXQL)


class _Watched(HistoryReader):
    """Be a reader that counts what it is asked, and lets something happen before or after it answers."""

    def __init__(self, reader: HistoryReader) -> None:
        self.reader = reader
        self.asked = 0
        self.after: Callable[[EventQuery], Coroutine[None, None, object]] | None = None

    @override
    async def query(self, query: EventQuery) -> EventPage:
        self.asked += 1
        page = await self.reader.query(query)
        if self.after is not None:
            await self.after(query)
        return page


@hypothesis_settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    events=st.lists(EVENTS, min_size=1, max_size=30),
    query=QUERIES,
    border=_BORDERS,
    later=st.none() | st.tuples(st.integers(0, 3), _BORDERS),
)
def test_a_purged_store_and_its_replica_answer_as_the_whole_store_would(
    events: list[Event],
    query: EventQuery,
    border: int,
    later: tuple[int, int] | None,
    settings: InfluxSettings,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """For any past, question and purge, also with a second purge between two pages."""
    home = replace(settings, home=f"home {next(_HOMES)}")
    replicate(home, events)

    async def answers() -> tuple[list[Sequence[Event]], list[Sequence[Event]]]:
        store = await filled_store(tmp_path_factory.mktemp("layers"), events)
        try:
            expected = await pages(store, query)
            await store.purge_before(border)
            reader = LayeredHistory(store, _replica(home))
            found: list[Sequence[Event]] = []
            cursor: str | None = None
            while not found or cursor is not None:
                page = await reader.query(replace(query, cursor=cursor))
                found.append(page.events)
                cursor = page.next_cursor
                if later is not None and len(found) == later[0]:
                    await store.purge_before(later[1])
            return expected, found
        finally:
            await store.close()

    expected, found = asyncio.run(answers())

    assert [len(page) for page in found] == [len(page) for page in expected]
    # Only a purge between two pages right behind the microsecond where one ended may exchange its events.
    assert _as_promised(found, exact=later is None) == _as_promised(expected, exact=later is None)


def _as_promised(found: list[Sequence[Event]], *, exact: bool) -> object:
    events = [event for page in found for event in page]
    return comparable(events) if exact else [event.time_us for event in events]


@pytest.fixture
async def past(store: Store, settings: InfluxSettings) -> Sequence[Event]:
    """Store and replicate 100 events, of which the store keeps the last 60."""
    events = state_events(100)
    await store.append(events)
    replicate(settings, events)
    await store.purge_before(START_US + 40_000)
    return events


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("limit", [1, 7, 20, 40, 60, 99, 100, 101])
async def test_pages_of_any_size_cross_the_border_unseen(
    store: Store, settings: InfluxSettings, past: Sequence[Event], limit: int, newest_first: bool
) -> None:
    """Also where a page ends exactly at the border; no page is empty and each but the last is full."""
    found = await pages(LayeredHistory(store, _replica(settings)), EventQuery(limit=limit, newest_first=newest_first))

    expected = [str(number) for number in (range(99, -1, -1) if newest_first else range(100))]
    assert [event.state for page in found for event in page] == expected
    assert [len(page) for page in found[:-1]] == [limit] * (-(-100 // limit) - 1)
    assert found[-1]


async def test_the_replica_is_asked_only_for_what_the_store_has_not(
    store: Store, settings: InfluxSettings, past: Sequence[Event]
) -> None:
    """A server that is away costs nothing as long as the store can answer, and fails what it cannot."""
    away = _Watched(_replica(replace(settings, url=f"http://127.0.0.1:{free_port()}")))
    reader = LayeredHistory(store, away)

    newest = await reader.query(EventQuery(limit=59, newest_first=True))
    whole = await reader.query(EventQuery(limit=60, newest_first=True))
    since = await reader.query(EventQuery(limit=100, start_us=START_US + 40_000))

    assert ([event.state for event in newest.events][-1], len(since.events)) == ("41", 60)
    assert (len(whole.events), away.asked) == (60, 1)
    with pytest.raises(InfluxError):
        await reader.query(EventQuery(limit=61, newest_first=True))
    with pytest.raises(InfluxError):
        await reader.query(EventQuery(limit=1))
    with pytest.raises(InfluxError):
        await reader.query(EventQuery(limit=60, newest_first=True, cursor=newest.next_cursor))
    with pytest.raises(InfluxError):
        await reader.query(EventQuery(limit=60, newest_first=True, cursor=whole.next_cursor))


@pytest.mark.parametrize("newest_first", [False, True])
async def test_a_store_that_has_lost_everything_is_read_from_the_replica(
    store: Store, settings: InfluxSettings, newest_first: bool
) -> None:
    """A store begun anew is empty."""
    replicate(settings, state_events(10))

    found = await pages(LayeredHistory(store, _replica(settings)), EventQuery(limit=4, newest_first=newest_first))

    assert [len(page) for page in found] == [4, 4, 2]
    assert sorted(str(event.state) for page in found for event in page) == sorted(str(n) for n in range(10))


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("purge_at", [1, 2, 3, 4, 5])
async def test_a_purge_while_a_page_is_read_leaves_no_gap(
    store: Store, settings: InfluxSettings, past: Sequence[Event], purge_at: int, newest_first: bool
) -> None:
    """The store loses events between any two of the questions that make up a page."""
    watched = _Watched(store)

    async def purge(query: EventQuery) -> None:
        if watched.asked == purge_at:
            await store.purge_before(START_US + 70_000)

    watched.after = purge
    found = await pages(LayeredHistory(watched, _replica(settings)), EventQuery(limit=55, newest_first=newest_first))

    assert sorted(int(event.state or "") for page in found for event in page) == list(range(100))
    assert [len(page) for page in found] == [55, 45]


@pytest.mark.parametrize("newest_first", [False, True])
async def test_a_purge_of_all_between_two_pages_leaves_no_gap(
    store: Store, settings: InfluxSettings, past: Sequence[Event], newest_first: bool
) -> None:
    """What the second page needs is in the replica alone."""
    reader = LayeredHistory(store, _replica(settings))
    query = EventQuery(limit=70, newest_first=newest_first)
    first = await reader.query(query)
    await store.purge_before(START_US + 1_000_000)

    second = await reader.query(replace(query, cursor=first.next_cursor))

    assert sorted(int(event.state or "") for event in (*first.events, *second.events)) == list(range(100))
    assert second.next_cursor is None


async def test_older_events_that_the_store_gains_between_two_pages_are_not_given_twice(
    store: Store, settings: InfluxSettings, past: Sequence[Event]
) -> None:
    """The recorder's history is read in while someone pages forwards through the replica."""
    reader = LayeredHistory(store, _replica(settings))
    first = await reader.query(EventQuery(limit=30))
    await store.append(past[:40], dedupe=True)

    second = await reader.query(EventQuery(limit=100, cursor=first.next_cursor))

    assert [event.state for event in (*first.events, *second.events)] == [str(number) for number in range(100)]


@pytest.mark.parametrize("newest_first", [False, True])
async def test_twins_at_a_page_s_end_are_given_once_also_after_a_purge_of_their_microsecond(
    store: Store, settings: InfluxSettings, newest_first: bool
) -> None:
    """300 twins in pages of 70, and the store is purged of them after the second page."""
    events = twins(300)
    await store.append([*events, state_event(5)])
    replicate(settings, events)
    reader = LayeredHistory(store, _replica(settings))
    query = EventQuery(limit=70, newest_first=newest_first, end_us=START_US + 1)
    first = await reader.query(query)
    second = await reader.query(replace(query, cursor=first.next_cursor))
    await store.purge_before(START_US + 1)

    rest = await pages_from(reader, replace(query, cursor=second.next_cursor))

    found = [kept(event) for event in (*first.events, *second.events, *rest)]
    assert found == [kept(event) for event in (reversed(events) if newest_first else events)]


async def pages_from(reader: HistoryReader, query: EventQuery) -> list[Event]:
    """Return the events of all pages from a cursor on."""
    found: list[Event] = []
    cursor = query.cursor
    while cursor is not None:
        page = await reader.query(replace(query, cursor=cursor))
        found += page.events
        cursor = page.next_cursor
    return found


@pytest.mark.parametrize(
    "cursor", ["", "x1.1.a", "s1.1.", "s1.1.no cursor", "r1.1.no-cursor", "r1.1.1790000000000000-7", "s-1.0.1-1", "1-1"]
)
async def test_a_cursor_that_is_none_is_refused(
    store: Store, settings: InfluxSettings, past: Sequence[Event], cursor: str
) -> None:
    """Whatever layer it pretends to be of."""
    with pytest.raises(QueryError) as caught:
        await LayeredHistory(store, _replica(settings)).query(EventQuery(cursor=cursor))

    assert caught.value.placeholders["field"] == "cursor"


async def test_a_question_that_does_not_fit_is_refused(store: Store, settings: InfluxSettings) -> None:
    """Before anything is read."""
    with pytest.raises(QueryError):
        await LayeredHistory(_Watched(store), _replica(settings)).query(EventQuery(limit=0))
