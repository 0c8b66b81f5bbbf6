"""Turn rows into the lines of an export and lines into events, and hash events whatever their form.

Pages of lines are built by SQLite itself, in one step for hundreds of rows: fetching row by row gives the GIL up and
asks for it back at every row, which beside a busy event loop takes milliseconds each, see _writing.py.

The content hash of some events is the sum, modulo 2^256, of the SHA-256 of each one's fields: the order does not
matter, and an event that is there twice counts twice.
"""

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from itertools import batched
import time
from typing import Final, NamedTuple

import aiosqlite
import orjson
from ulid_transform import bytes_to_ulid

from ..model import EntityFacts, Event, EventKind, Json, Origin
from ._codes import KIND_TO_CODE, ORIGIN_TO_CODE
from ._rows import FROM_EVENTS, facts_from_json, facts_to_json, pack_context
from ._times import EPOCH_US, to_column


class Record(NamedTuple):
    """Hold the values of one line. A context id that is a ULID stands in hexadecimal in ``…_ulid``."""

    time_us: int
    kind: str
    origin: str
    entity_id: str | None
    state: str | None
    old_state: str | None
    held_us: int | None
    payload: str | None
    name: str | None
    context_id: str | None
    context_ulid: str | None
    parent_id: str | None
    parent_ulid: str | None
    user_id: str | None
    responsible: str | None
    facts: str | None


FIELDS: Final = Record._fields
SLICE: Final = 64
_SEPARATOR: Final = "\x1f"
_MODULUS: Final = 1 << 256
_INT64_MAX: Final = 2**63 - 1
_ULID_BYTES: Final = 16
_NUMBERS: Final = frozenset({"time_us", "held_us"})
_FIRST: Final = (-(2**63), 0)


def _case(column: str, codes: Mapping[EventKind, int] | Mapping[Origin, int]) -> str:
    return f"CASE {column} {' '.join(f"WHEN {code:d} THEN '{word.value}'" for word, code in codes.items())} END"


def _context(column: str) -> tuple[str, str]:
    """Return the SQL of a context id as text, and of one that is a ULID as 32 hexadecimal digits."""
    return (
        f"CASE WHEN typeof({column}) = 'text' THEN {column} END",
        (
            f"CASE WHEN typeof({column}) = 'blob' THEN CASE length({column}) WHEN {_ULID_BYTES:d} THEN ''"
            f" ELSE printf('%012X', (e.at + {EPOCH_US:d}) / 1000) END || hex({column}) END"
        ),
    )


_VALUES: Final = (
    f"e.at + {EPOCH_US:d}",
    _case("e.kind", KIND_TO_CODE),
    _case("e.origin", ORIGIN_TO_CODE),
    "n.key",
    "COALESCE(s.key, e.state)",
    "COALESCE(o.key, e.old_state)",
    "e.held_us",
    "p.key",
    "m.key",
    *_context("e.context"),
    *_context("e.parent"),
    "u.key",
    "r.key",
    "f.key",
)
_JSON: Final = f"json_object({','.join(f"'{name}', {name}" for name in FIELDS)})"
_HASHED: Final = f" || char({ord(_SEPARATOR):d}) || ".join(
    (*FIELDS[:3], *(f"COALESCE('=' || {name}, '')" for name in FIELDS[3:]))
)
_CSV: Final = " || ',' || ".join(
    name
    if name == "time_us"
    else f"COALESCE({name}, '')"
    if name in _NUMBERS
    else f"COALESCE('\"' || replace({name}, '\"', '\"\"') || '\"', '')"
    for name in FIELDS
)
_PAGE: Final = f"""
WITH chosen AS (
    SELECT id FROM events WHERE (at, id) > (:at, :id) AND at < :end AND id <= :last ORDER BY at, id LIMIT :limit
), lines AS (
    SELECT e.id AS id, e.at AS at, {",".join(f"{value} AS {name}" for value, name in zip(_VALUES, FIELDS, strict=True))}
    {FROM_EVENTS}
    WHERE e.id IN (SELECT id FROM chosen)
    ORDER BY e.at, e.id
)
SELECT COUNT(*), json_group_array({_HASHED}), {{content}}, json_group_array(json_array(at, id)) FROM lines
"""
_NO_LINES: Final = _PAGE.format(content="NULL")
_JSON_LINES: Final = _PAGE.format(content=f"group_concat({_JSON}, char(10))")
_CSV_LINES: Final = _PAGE.format(content=f"group_concat({_CSV}, char(10))")
CONTENTS: Final = {"none": _NO_LINES, "jsonl": _JSON_LINES, "csv": _CSV_LINES}


class Span(NamedTuple):
    """Choose events by time [start, end) as the column holds it, and by the last row id that counts."""

    start: int
    end: int
    last: int


class Page(NamedTuple):
    """Hold some events in the order of time: how many, what their hash is of (JSON), their lines, and where they end."""

    events: int
    hashed: str
    lines: str | None
    end: tuple[int, int]


async def span(reader: aiosqlite.Connection, start_us: int | None = None, end_us: int | None = None) -> Span:
    """Return the choice of all events that are stored now in a range of time."""
    (row,) = await reader.execute_fetchall("SELECT COALESCE(MAX(id), 0) FROM events")
    return Span(
        _FIRST[0] if start_us is None else max(to_column(start_us), _FIRST[0]),
        _INT64_MAX if end_us is None else to_column(end_us),
        int(row[0]),
    )


async def read_lines(
    reader: aiosqlite.Connection, chosen: Span, after: tuple[int, int] | None, limit: int, content: str = "none"
) -> Page | None:
    """Return the next events after a page's end, None after the last one."""
    at, row_id = after or (chosen.start, 0)
    values = {"at": at, "id": row_id, "end": chosen.end, "last": chosen.last, "limit": limit}
    (row,) = await reader.execute_fetchall(CONTENTS[content], values)
    if not row[0]:
        return None
    end = orjson.loads(row[3])[-1]
    return Page(row[0], row[1], row[2], (end[0], end[1]))


class ContentHash:
    """Add up the hashes of events; for a thread, because it takes a microsecond each."""

    def __init__(self) -> None:
        """Begin with no event."""
        self.events = 0
        self._sum = 0

    def add_page(self, hashed: str) -> None:
        """Add the events of a page."""
        self._add(text.encode() for text in orjson.loads(hashed))

    def add_records(self, records: Iterable[Record]) -> None:
        """Add events as lines have them."""
        self._add(map(_hashed, records))

    def hexdigest(self) -> str:
        """Return the hash of all that was added, 64 hexadecimal digits."""
        return f"{self._sum % _MODULUS:064x}"

    def _add(self, texts: Iterable[bytes]) -> None:
        for part in batched(texts, SLICE, strict=False):
            self._sum += sum(int.from_bytes(sha256(text).digest()) for text in part)
            self.events += len(part)
            time.sleep(0)


def _hashed(record: Record) -> bytes:
    time_us, kind, origin, *rest = record
    return _SEPARATOR.join(
        (str(time_us), kind, origin, *("" if value is None else f"={value}" for value in rest))
    ).encode()


def to_record(event: Event) -> Record:
    """Return an event's values as a line has them."""
    return Record(
        event.time_us,
        event.kind.value,
        event.origin.value,
        event.entity_id,
        event.state,
        event.old_state,
        event.held_us,
        event.payload,
        event.name,
        *_context_fields(event.context_id, event.time_us),
        *_context_fields(event.parent_id, event.time_us),
        event.user_id,
        event.responsible,
        facts_to_json(event.facts),
    )


def check_record(values: Sequence[Json]) -> Record:
    """Return a line's values if their types fit; raises ValueError naming the field that does not."""
    if len(values) != len(FIELDS):
        raise ValueError(f"{len(values)} fields instead of {len(FIELDS)}")
    checked: list[str | int | None] = []
    for name, value in zip(FIELDS, values, strict=True):
        if name in _NUMBERS:
            least = -_INT64_MAX if name == "held_us" else 0
            fits = isinstance(value, int) and not isinstance(value, bool) and least <= value <= _INT64_MAX
            fits = fits or (value is None and name == "held_us")
        else:
            fits = isinstance(value, str) or (value is None and name not in ("kind", "origin"))
        if not fits:
            raise ValueError(f"{name} does not fit")
        checked.append(value)  # type: ignore[arg-type]  # just checked
    return Record(*checked)  # type: ignore[arg-type]  # just checked


def to_event(record: Record) -> Event:
    """Return the event of a line; raises ValueError for values that this version does not know."""
    return Event(
        kind=EventKind(record.kind),
        time_us=record.time_us,
        origin=Origin(record.origin),
        entity_id=record.entity_id,
        state=record.state,
        old_state=record.old_state,
        held_us=record.held_us,
        payload=record.payload,
        name=record.name,
        context_id=_context_id(record.context_id, record.context_ulid),
        parent_id=_context_id(record.parent_id, record.parent_ulid),
        user_id=record.user_id,
        responsible=record.responsible,
        facts=_facts(record.facts),
    )


def _context_fields(context: str | None, time_us: int) -> tuple[str | None, str | None]:
    packed = pack_context(context, time_us)
    if not isinstance(packed, bytes):
        return packed, None
    if len(packed) < _ULID_BYTES:
        packed = (time_us // 1_000).to_bytes(_ULID_BYTES - len(packed)) + packed
    return None, packed.hex().upper()


def _context_id(text: str | None, ulid: str | None) -> str | None:
    if ulid is None:
        return text
    packed = bytes.fromhex(ulid)
    if len(packed) != _ULID_BYTES:
        raise ValueError("a ULID has 32 digits")
    return bytes_to_ulid(packed)


def _facts(text: str | None) -> EntityFacts:
    if text is None:
        return facts_from_json(None)
    known = orjson.loads(text)
    if not isinstance(known, dict) or not all(
        isinstance(value, str) or (name == "labels" and isinstance(value, list) and all(type(v) is str for v in value))
        for name, value in known.items()
        if name in EntityFacts.__slots__
    ):
        raise ValueError("facts do not fit")
    return facts_from_json(text)
