"""Turn points of layout ``lean`` back into events, and give them one order.

A series is measurement and tags; InfluxDB holds at most one point per series and nanosecond. So nanosecond and a digest
of the series order all points, and a position in that order stays right whatever is written or deleted meanwhile.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
import re
from typing import Final

from ..model import EntityFacts, Event, EventKind, EventQuery, Origin, bad_query

MIN_NS: Final = -9_223_372_036_854_775_806
MAX_NS: Final = 9_223_372_036_854_775_806
"""The first and last nanosecond that InfluxDB can date, years 1677 and 2262."""

TAGS: Final = ("area", "device_class", "entity_id", "home", "integration", "name", "origin", "registry_id")
TEXTS: Final = ("by", "context", "data", "old", "parent", "state", "user")
"""The string fields."""

OTHERS: Final = (("held", "float"), ("removed", "boolean"), ("value", "float"))
"""The other fields with InfluxQL's names of their types; each is needed, for an event may have that one field only."""

KIND_OF: Final = {f"homeiq_{kind.value}": kind for kind in EventKind}
"""The measurements that are not a state's domain."""

_DOMAIN: Final = re.compile(r"[a-z0-9][a-z0-9_]*\Z")
_CURSOR: Final = re.compile(r"r(-?[0-9]{1,19})-([0-9a-f]{16})\Z")
_LONGEST_TAG: Final = 1024
_AS_WRITTEN: Final = str.maketrans({"\n": r"\n", "\t": r"\t", "\r": r"\r"})

type Key = tuple[int, str]
type Columns = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """Hold an event and its place: nanosecond and digest of the series."""

    key: Key
    event: Event


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Bound what is asked for, both ends included, in nanoseconds; ``most`` rows per table are wanted."""

    first_ns: int
    last_ns: int
    newest_first: bool
    most: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Hold some of a span's points, in any order.

    All points before ``horizon`` (as the span runs) are there; those at it or behind it may be missing. None: all of
    the span's points are there.
    """

    points: tuple[Point, ...]
    horizon: int | None


def is_ours(measurement: str) -> bool:
    """Return whether the layout may have written this measurement."""
    return measurement in KIND_OF or _DOMAIN.match(measurement) is not None


def kind_of(measurement: str) -> EventKind:
    """Return the kind of the events in a measurement."""
    return KIND_OF.get(measurement, EventKind.STATE)


def tag_as_written(text: str) -> str:
    """Return a tag's value as the bucket holds it: the encoder cuts it, and a last backslash is followed by a blank."""
    written = text[:_LONGEST_TAG].translate(_AS_WRITTEN)
    return f"{written} " if written.endswith("\\") else written


def wanted_ids(query: EventQuery) -> tuple[str, ...] | None:
    """Return the entity ids asked for, None for all, without those that no series can carry."""
    if query.entity_ids is None:
        return None
    return tuple(tag_as_written(entity_id) for entity_id in query.entity_ids if entity_id and "\x00" not in entity_id)


def digest(measurement: str, columns: Columns) -> str:
    """Return 64 bits that tell a series from the others, in hexadecimal."""
    series = "\x00".join((measurement, *(str(columns.get(tag) or "") for tag in TAGS)))
    return blake2b(series.encode("utf-8", "replace"), digest_size=8).hexdigest()


def read_point(measurement: str, time_ns: int, columns: Columns) -> Point | None:
    """Return the point in a row, None where the row is not of this layout."""
    try:
        origin = Origin(_text(columns, "origin") or "")
    except ValueError:
        return None
    if not is_ours(measurement):
        return None
    held = columns.get("held")
    event = Event(
        kind=kind_of(measurement),
        time_us=time_ns // 1000,
        origin=origin,
        entity_id=_tag(columns, "entity_id"),
        state=_text(columns, "state"),
        old_state=_text(columns, "old"),
        held_us=round(held * 1e6) if isinstance(held, int | float) else None,
        payload=_text(columns, "data"),
        context_id=_text(columns, "context"),
        parent_id=_text(columns, "parent"),
        user_id=_text(columns, "user"),
        responsible=_text(columns, "by"),
        name=_tag(columns, "name"),
        facts=EntityFacts(
            registry_id=_tag(columns, "registry_id"),
            area_id=_tag(columns, "area"),
            integration=_tag(columns, "integration"),
            device_class=_tag(columns, "device_class"),
        ),
    )
    return Point(key=(time_ns, digest(measurement, columns)), event=event)


def read_cursor(cursor: str | None) -> Key | None:
    """Return the place that a page ended at; raises QueryError for text that is no cursor of this reader."""
    if cursor is None:
        return None
    match = _CURSOR.match(cursor)
    if match is None or not MIN_NS <= (time_ns := int(match[1])) <= MAX_NS:
        raise bad_query("cursor", cursor)
    return time_ns, match[2]


def write_cursor(key: Key) -> str:
    """Return a place as text."""
    return f"r{key[0]}-{key[1]}"


def _text(columns: Columns, name: str) -> str | None:
    value = columns.get(name)
    return value if isinstance(value, str) else None


def _tag(columns: Columns, name: str) -> str | None:
    text = _text(columns, name)
    if not text:
        return None
    return text[:-1] if text.endswith("\\ ") else text
