"""Define how events are asked for and how a page of them is answered."""

from dataclasses import dataclass
from typing import Final

from ._errors import QueryError
from ._event import Event, EventKind, Origin

MAX_LIMIT: Final = 10_000
"""Rows of the largest page."""

_INT64_MAX: Final = 2**63 - 1


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


def check_query(query: EventQuery) -> None:
    """Refuse a limit or a range that no reader takes; raises QueryError naming the field and the value.

    The cursor is judged by the reader that gave it.
    """
    if not 1 <= query.limit <= MAX_LIMIT:
        raise bad_query("limit", str(query.limit))
    for field, value in (("start", query.start_us), ("end", query.end_us)):
        if value is not None and abs(value) > _INT64_MAX:
            raise bad_query(field, str(value))
    if query.start_us is not None and query.end_us is not None and query.end_us <= query.start_us:
        raise bad_query("end", str(query.end_us))


def bad_query(field: str, value: str) -> QueryError:
    """Return the error for a field that does not fit."""
    return QueryError(f"{field} does not fit: {value}", field=field, value=value)
