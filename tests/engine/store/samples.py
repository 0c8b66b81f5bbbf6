"""Make events, clocks and strategies for the store's tests."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
import sqlite3
from typing import Any

from hypothesis import strategies as st

from homeiq_engine.model import EntityFacts, Event, EventKind, EventQuery, Origin
from homeiq_engine.store import Store

T0_US = 1_790_000_000_000_000


class ManualClock:
    """Tell the time that the test sets."""

    def __init__(self, now_us: int = T0_US) -> None:
        """Begin at a time."""
        self.us = now_us
        self.seconds = 0.0

    def now_us(self) -> int:
        """Return microseconds UTC."""
        return self.us

    def monotonic(self) -> float:
        """Return seconds."""
        return self.seconds


def event(number: int = 0, **fields: Any) -> Event:
    """Return the numbered event of a row of events a millisecond apart."""
    given = {
        "kind": EventKind.STATE,
        "time_us": T0_US + number * 1000,
        "origin": Origin.DEVICE,
        "entity_id": f"sensor.s{number % 7}",
        "state": str(number),
    }
    return Event(**(given | fields))


def events(count: int, first: int = 0, **fields: Any) -> list[Event]:
    """Return consecutive numbered events."""
    return [event(number, **fields) for number in range(first, first + count)]


def without_id(event: Event) -> Event:
    """Return an event as it was before it was stored."""
    return replace(event, id=None)


async def all_events(store: Store, **wanted: Any) -> list[Event]:
    """Return everything that a query finds, page by page."""
    found: list[Event] = []
    cursor: str | None = None
    while True:
        page = await store.query(EventQuery(cursor=cursor, **({"limit": 10_000} | wanted)))
        found += page.events
        cursor = page.next_cursor
        if cursor is None:
            return found


def raw(path: Path, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
    """Run one statement on the file, past the store."""
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        return connection.execute(sql, values).fetchall()
    finally:
        connection.close()


def bytes_on_disk(path: Path) -> bytes:
    """Return the content of the store and its side files."""
    return b"".join(file.read_bytes() for file in sorted(path.parent.glob(f"{path.name}*")))


ULIDS = st.text("0123456789ABCDEFGHJKMNPQRSTVWXYZ", min_size=26, max_size=26)
# What the pipeline lets through: anything that UTF-8 can express, NUL and astral characters included.
TEXTS = st.text(st.characters(codec="utf-8"), max_size=255)
CONTEXTS = st.one_of(
    st.none(),
    ULIDS,
    ULIDS.map(str.lower),
    st.text(st.characters(codec="utf-8"), max_size=40),
    st.text("0123456789abcdef", min_size=32, max_size=32),
    st.sampled_from(
        ["7ZZZZZZZZZZZZZZZZZZZZZZZZZ", "8ZZZZZZZZZZZZZZZZZZZZZZZZZ", "ZZZZZZZZZZZZZZZZZZZZZZZZZZ", "0" * 26]
    ),
)
STATES = st.one_of(
    st.none(),
    TEXTS,
    st.floats().map(str),
    st.integers().map(str).filter(lambda text: len(text) <= 255),
    st.sampled_from(
        ["on", "off", "unknown", "unavailable", "", "0", "\x00", "a\x001", "9" * 64, "9" * 65, "x" * 255, "💡1"]
    ),
)
NAMES = st.one_of(st.none(), TEXTS)
INT64 = st.integers(min_value=0, max_value=2**63 - 1)
FACTS = st.builds(
    EntityFacts,
    registry_id=NAMES.map(lambda text: text or None),
    device_id=st.sampled_from([None, "d1"]),
    area_id=NAMES.map(lambda text: text or None),
    floor_id=st.none(),
    integration=st.sampled_from([None, "hue"]),
    device_class=st.sampled_from([None, "power"]),
    unit=st.sampled_from([None, "°C", "µg/m³"]),
    labels=st.lists(TEXTS, max_size=3).map(tuple),
)
EVENTS = st.builds(
    Event,
    kind=st.sampled_from(EventKind),
    time_us=INT64,
    origin=st.sampled_from(Origin),
    entity_id=NAMES,
    state=STATES,
    old_state=STATES,
    held_us=st.one_of(st.none(), INT64),
    payload=NAMES,
    context_id=CONTEXTS,
    parent_id=CONTEXTS,
    user_id=NAMES,
    responsible=NAMES,
    name=NAMES,
    facts=FACTS,
)
