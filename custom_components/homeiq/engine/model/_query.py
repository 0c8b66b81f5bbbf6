"""Define how events are asked for and how a page of them is answered."""

from dataclasses import dataclass

from ._event import Event, EventKind, Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class EventQuery:
    """Select events by entity, half-open time range [start_us, end_us), kind and origin; None means all.

    ``cursor`` is the opaque ``next_cursor`` of the page before. ``limit`` is 1 to 10,000 rows.
    """

    entity_ids: tuple[str, ...] | None = None
    start_us: int | None = None
    end_us: int | None = None
    kinds: tuple[EventKind, ...] | None = None
    origins: tuple[Origin, ...] | None = None
    limit: int = 1000
    newest_first: bool = False
    cursor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventPage:
    """Hold one page of events in time order and the cursor of the next, None on the last page."""

    events: tuple[Event, ...]
    next_cursor: str | None
