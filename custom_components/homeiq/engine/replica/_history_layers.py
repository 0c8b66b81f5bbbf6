"""Answer event queries from the store and, for what is older than the store, from a replica: one history, one cursor.

The border between the two is the store's oldest event. It moves while pages are read: the store is purged, older events
are imported. So a cursor holds a place in time, and each page asks anew where the border is. A purge takes all events
of a microsecond or none, so the border never parts twins.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
import re
from typing import Final, override

from ..model import MAX_LIMIT, Event, EventPage, EventQuery, ReplicaError, bad_query, check_query
from ..ports import HistoryReader

_CURSOR: Final = re.compile(r"([sr])([0-9]{1,19})\.([0-9]{1,4})\.(|[0-9a-z-]{1,64})\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Be where a page ended: its layer and that layer's own cursor, and what any layer understands.

    That is a microsecond and how many of its events were given already. Without a cursor of its own the place is that.
    """

    layer: str
    time_us: int
    given: int
    inner: str | None

    @property
    def in_store(self) -> bool:
        return self.layer == "s"

    @override
    def __str__(self) -> str:
        return f"{self.layer}{self.time_us}.{self.given}.{self.inner or ''}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rest:
    """Say what is still to be read of a replica: a range, the own cursor, how many events to leave out at its edge."""

    start_us: int | None
    end_us: int | None
    inner: str | None = None
    skip: int = 0


class LayeredHistory(HistoryReader):
    """Read the store first and the replica for what is older than the store's oldest event.

    The replica is not asked while the store can fill the page. What it cannot give back (see ReplicaHistory) is missing
    from the older events only. A page that needs the replica fails if the replica does: half a page would look whole.
    """

    def __init__(self, store: HistoryReader, replica: HistoryReader) -> None:
        """Take both layers."""
        self._store = store
        self._replica = replica

    @override
    async def query(self, query: EventQuery) -> EventPage:
        """Return one page; raises QueryError, and StoreError or InfluxError if reading failed."""
        check_query(query)
        place = _read_place(query.cursor)
        query = replace(query, cursor=None)
        return await (self._backwards(query, place) if query.newest_first else self._forwards(query, place))

    async def _backwards(self, query: EventQuery, place: _Place | None) -> EventPage:
        """Read from the newest event to the oldest: first the store, then the replica."""
        events: Sequence[Event] = ()
        rest = _Rest(start_us=query.start_us, end_us=query.end_us)
        if place is None or place.in_store:
            page = await self._store.query(replace(query, cursor=None if place is None else place.inner))
            # Looked up after reading: a purge in between must not leave a gap.
            border = await self._border()
            events = [event for event in page.events if border is not None and event.time_us >= border]
            if page.next_cursor is not None and len(events) == len(page.events):
                return _page(events, place, "s", page.next_cursor)
            if place is not None and (border is None or border > place.time_us):
                rest = replace(rest, end_us=place.time_us + 1, skip=place.given)
            elif border is not None:
                rest = replace(rest, end_us=border if query.end_us is None else min(border, query.end_us))
        elif place.inner is None:
            rest = replace(rest, end_us=place.time_us + 1, skip=place.given)
        else:
            rest = replace(rest, inner=place.inner)
        free = query.limit - len(events)
        if not free:
            return await self._full(
                query, events, _Place(layer="r", time_us=events[-1].time_us - 1, given=0, inner=None)
            )
        older = await self._from_replica(query, rest, free)
        return _page([*events, *older.events], place, "r", older.next_cursor)

    async def _forwards(self, query: EventQuery, place: _Place | None) -> EventPage:
        """Read from the oldest event to the newest: first the replica, then the store."""
        rest = _Rest(start_us=query.start_us, end_us=query.end_us)
        if place is not None and place.in_store:
            page = await self._store.query(replace(query, cursor=place.inner))
            border = await self._border()
            if border is not None and border <= place.time_us:
                return _page(page.events, place, "s", page.next_cursor)
            # What came next was purged.
            rest = replace(rest, start_us=place.time_us, skip=place.given)
        elif place is not None:
            rest = replace(rest, start_us=place.time_us, skip=place.given, inner=place.inner)
        events: list[Event] = []
        while True:
            border = await self._border()
            end_us = _end_of_replica(query, rest, border)
            older = await self._from_replica(query, replace(rest, end_us=end_us), query.limit - len(events))
            events += older.events
            if older.next_cursor is not None:
                return _page(events, place, "r", older.next_cursor)
            if border is None or end_us is None or (query.end_us is not None and end_us >= query.end_us):
                return EventPage(events=tuple(events), next_cursor=None)
            if len(events) == query.limit:
                return await self._full(query, events, _Place(layer="r", time_us=end_us, given=0, inner=None))
            page = await self._store.query(replace(query, start_us=end_us, limit=query.limit - len(events)))
            border = await self._border()
            if border is not None and border <= end_us:
                return _page([*events, *page.events], place, "s", page.next_cursor)
            # A purge came in between: the replica has what the store had.
            rest = _Rest(start_us=end_us, end_us=query.end_us)

    async def _from_replica(self, query: EventQuery, rest: _Rest, limit: int) -> EventPage:
        """Return the next events of the replica, without those at the edge that were given already."""
        if rest.start_us is not None and rest.end_us is not None and rest.start_us >= rest.end_us:
            return EventPage(events=(), next_cursor=None)
        # With a cursor of its own the replica knows its place.
        skip = rest.skip if rest.inner is None else 0
        page = await self._replica.query(
            replace(
                query,
                start_us=rest.start_us,
                end_us=rest.end_us,
                cursor=rest.inner,
                limit=min(MAX_LIMIT, limit + skip),
            )
        )
        edge = rest.end_us - 1 if query.newest_first and rest.end_us is not None else rest.start_us
        given = sum(1 for event in page.events[:skip] if event.time_us == edge)
        return EventPage(events=page.events[given:], next_cursor=page.next_cursor)

    async def _full(self, query: EventQuery, events: Sequence[Event], place: _Place) -> EventPage:
        """Return a page that ends where a layer does, with a cursor if there is anything behind it."""
        try:
            more = bool((await self.query(replace(query, limit=1, cursor=str(place)))).events)
        except ReplicaError:
            # The page is whole; whoever goes on will be told.
            more = True
        return EventPage(events=tuple(events), next_cursor=str(place) if more else None)

    async def _border(self) -> int | None:
        """Return the time of the store's oldest event, None for an empty store."""
        oldest = (await self._store.query(EventQuery(limit=1))).events
        return oldest[0].time_us if oldest else None


def _end_of_replica(query: EventQuery, rest: _Rest, border: int | None) -> int | None:
    """Return up to where, reading forwards, the replica is asked: the border, but never part a microsecond."""
    if border is None:
        return query.end_us
    begun = rest.skip > 0 or rest.inner is not None
    end = border if rest.start_us is None else max(border, rest.start_us + begun)
    return end if query.end_us is None else min(end, query.end_us)


def _page(events: Sequence[Event], before: _Place | None, layer: str, inner: str | None) -> EventPage:
    """Return a page that goes on in a layer with the layer's own cursor; None ends the history."""
    if inner is None:
        return EventPage(events=tuple(events), next_cursor=None)
    time_us = events[-1].time_us
    given = sum(1 for _ in takewhile(lambda event: event.time_us == time_us, reversed(events)))
    if given == len(events) and before is not None and before.time_us == time_us:
        given += before.given
    place = _Place(layer=layer, time_us=time_us, given=min(given, MAX_LIMIT - 1), inner=inner)
    return EventPage(events=tuple(events), next_cursor=str(place))


def _read_place(cursor: str | None) -> _Place | None:
    """Return the place in a cursor; raises QueryError for text that is none."""
    if cursor is None:
        return None
    match = _CURSOR.match(cursor)
    if match is None or (match[1] == "s" and not match[4]):
        raise bad_query("cursor", cursor)
    return _Place(layer=match[1], time_us=int(match[2]), given=int(match[3]), inner=match[4] or None)
