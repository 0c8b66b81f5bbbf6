"""Answer event queries from the bucket, page by page, as the store does."""

import asyncio
from dataclasses import replace
from enum import StrEnum
from typing import Final, Protocol, override

from ..model import EventPage, EventQuery, check_query
from ..ports import HistoryReader
from ._detection import Server
from ._errors import Reason
from ._history_connection import TIMEOUT_S, Questions, asking
from ._history_flux import FluxHistory
from ._history_influxql import InfluxQLHistory
from ._history_points import MAX_NS, MIN_NS, Key, Part, Point, Span, read_cursor, write_cursor
from ._settings import InfluxSettings, Layout

_ROWS: Final = 1000
"""Rows asked for at a time: reading the JSON of twice as many (InfluxQL) holds the interpreter lock for 10 ms."""

_MOST: Final = 1_000_000


class QueryLanguage(StrEnum):
    """Name what a server is asked in: ``influxql`` (1.x, 3.x) over ``/query``, ``flux`` (2.x, Cloud) over the v2 API."""

    INFLUXQL = "influxql"
    FLUX = "flux"

    @classmethod
    def of(cls, server: Server) -> QueryLanguage:
        """Return what a server understands; one that is not known is asked in InfluxQL, which most serve."""
        return cls.FLUX if server is Server.INFLUXDB_2 else cls.INFLUXQL


class _Spans(Protocol):
    """Read spans of points in one language."""

    def read(self, span: Span) -> Part:
        """Return points from the span's beginning on; may block."""
        ...


class ReplicaHistory(HistoryReader):
    """Read the events of one home from a bucket of layout ``lean``.

    What comes back equals what the store holds, with these exceptions, which the layout has not kept:

    - ``id`` is None; ``device_id``, ``floor_id``, ``unit`` and ``labels`` of the facts are empty;
    - events of different series in one microsecond come in an order of their own, always the same; events of one
      series (such as twins) keep the store's;
    - ``held_us`` is exact below 2^51 (71 years), times from 1677 to 2262; string fields end at 64 KB, tags at 1,024
      characters, and line breaks and tabs inside tags are spelt as escapes;
    - an attribute event without any content comes back with an empty state, an empty id or name as None;
    - over Flux, carriage returns in texts are lost.

    What the replica has not been sent yet, or leaves out by its filter or start point, is not there; nor are events
    written under another home tag. The layout ``core`` cannot give events back: it keeps neither origins nor contexts.
    """

    def __init__(
        self, settings: InfluxSettings, *, language: QueryLanguage | None = None, timeout_s: float = TIMEOUT_S
    ) -> None:
        """Take the connection, the server's language and the seconds after which a request has failed.

        Without a language the server is asked, each time, what it is. Raises InfluxError for a replica that does not
        hold all of an event.
        """
        if settings.layout is not Layout.LEAN or settings.metrics_only:
            raise settings.error(
                Reason.UNKNOWN, "only a replica of layout lean, with more than numbers, can be read back"
            )
        self._settings = settings
        self._language = language
        self._timeout_s = timeout_s

    @override
    async def query(self, query: EventQuery) -> EventPage:
        """Return one page; raises QueryError for a query that does not fit and InfluxError if reading failed."""
        check_query(query)
        position = read_cursor(query.cursor)
        if any(chosen == () for chosen in (query.entity_ids, query.kinds, query.origins)):
            return EventPage(events=(), next_cursor=None)
        return await asyncio.to_thread(self._page, query, position)

    def _page(self, query: EventQuery, position: Key | None) -> EventPage:
        """Read a page; blocks."""
        first_ns, last_ns = _bounds(query, position)
        if first_ns > last_ns:
            return EventPage(events=(), next_cursor=None)
        span = Span(first_ns=first_ns, last_ns=last_ns, newest_first=query.newest_first, most=0)
        with asking(self._settings, timeout_s=self._timeout_s) as questions:
            points = self._collect(self._spans(questions, query), span, position, query.limit + 1)
        page = points[: query.limit]
        more = len(points) > query.limit
        return EventPage(
            events=tuple(point.event for point in page), next_cursor=write_cursor(page[-1].key) if more else None
        )

    def _spans(self, questions: Questions, query: EventQuery) -> _Spans:
        settings = self._settings
        if (self._language or QueryLanguage.of(questions.server())) is QueryLanguage.FLUX:
            return FluxHistory(questions.flux, query, settings.home, settings.bucket)
        return InfluxQLHistory(questions.influxql, query, settings.home)

    def _collect(self, spans: _Spans, span: Span, position: Key | None, wanted: int) -> list[Point]:
        """Return the span's first points behind a position, in order, at least ``wanted`` if there are so many.

        Only points before the horizon of each answer are taken; the next question begins at it.
        """
        found: list[Point] = []
        # Two more: one that was given already, at the position, and one that will stand at the horizon.
        span = replace(span, most=min(wanted + 2, _ROWS))
        while True:
            part = spans.read(span)
            fresh = [
                point
                for point in part.points
                if (position is None or _is_behind(point.key, position, newest_first=span.newest_first))
                and (part.horizon is None or _is_behind(part.horizon, point.key[0], newest_first=span.newest_first))
            ]
            found += sorted(fresh, key=lambda point: point.key, reverse=span.newest_first)
            if part.horizon is None or len(found) >= wanted:
                return found
            span = self._next_span(span, part.horizon, min(wanted + 2 - len(found), _ROWS))

    def _next_span(self, span: Span, horizon: int, most: int) -> Span:
        """Return what is left of a span; raises InfluxError if a server never gives a whole nanosecond."""
        if horizon == (span.last_ns if span.newest_first else span.first_ns):
            # More series than were asked for have a point in this very nanosecond.
            most = span.most * 4
            if most > _MOST:
                raise self._settings.error(Reason.UNKNOWN, "the server cuts its answers too short")
        return Span(
            first_ns=span.first_ns if span.newest_first else horizon,
            last_ns=horizon if span.newest_first else span.last_ns,
            newest_first=span.newest_first,
            most=most,
        )


def _bounds(query: EventQuery, position: Key | None) -> tuple[int, int]:
    """Return the first and the last nanosecond that can hold what is asked for."""
    first = MIN_NS if query.start_us is None else max(MIN_NS, query.start_us * 1000)
    last = MAX_NS if query.end_us is None else min(MAX_NS, query.end_us * 1000 - 1)
    if position is None:
        return first, last
    return (first, min(last, position[0])) if query.newest_first else (max(first, position[0]), last)


def _is_behind[T: (int, Key)](one: T, other: T, *, newest_first: bool) -> bool:
    """Return whether one place comes after another in the order that is asked for."""
    return one < other if newest_first else one > other
