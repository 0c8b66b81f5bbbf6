"""Make pasts for the tests of reading, bring them into a store and a bucket, and say what equal answers are."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from homeiq_engine.model import EntityFacts, Event, EventKind, EventQuery, Origin
from homeiq_engine.ports import HistoryReader
from homeiq_engine.replica import InfluxSettings, LineEncoder
from homeiq_engine.replica._delivery import Delivery
from homeiq_engine.store import Store

from .conftest import WallClock
from .samples import START_US

ENTITIES = (
    "light.kitchen",
    "sensor.o'hara",
    'sensor.a"b',
    "sensor.back\\slash",
    "sensor.a b,c=d",
    "switch.küche",
    "one",
)
_TEXT = st.text(st.characters(codec="utf-8"), max_size=60) | st.sampled_from(
    ["", '"', "\\", "'", "a\nb", "a\r\nb", "\x00", "👩‍👩‍👧", "é" * 255, "unavailable", "null", "' OR 1=1 --"]
)
_TAG = st.none() | st.sampled_from(["hue", "küche", "a b", "o'hara", 'q"q', "a,b=c", "ends\\", "${x}", "💡"])
_STATE = _TEXT | st.floats().map(str) | st.integers().map(str) | st.sampled_from(["on", "off", "nan", "1e400"])
# Few moments, so that twins are the rule, and the ends of what InfluxDB can date.
_TIME = st.integers(START_US, START_US + 5) | st.sampled_from([0, START_US + 86_400_000_000, 9_223_372_036_854_774])
_FACTS = st.builds(EntityFacts, registry_id=_TAG, area_id=_TAG, integration=_TAG, device_class=_TAG)
EVENTS = st.builds(
    Event,
    kind=st.sampled_from([EventKind.STATE, *EventKind]),
    time_us=_TIME,
    origin=st.sampled_from(Origin),
    entity_id=st.none() | st.sampled_from(ENTITIES),
    state=st.none() | _STATE,
    old_state=st.none() | _STATE,
    held_us=st.none() | st.integers(0, 2**50),
    payload=st.none() | _TEXT,
    context_id=st.none() | _TEXT,
    parent_id=st.none() | _TEXT,
    user_id=st.none() | _TEXT,
    responsible=st.none() | _TEXT,
    name=_TAG,
    facts=st.just(EntityFacts()) | _FACTS,
).filter(lambda event: event.kind is not EventKind.ATTRIBUTES or event.state is not None)
_BORDER = st.none() | st.integers(START_US - 1, START_US + 6)
QUERIES = st.builds(
    EventQuery,
    entity_ids=st.none() | st.lists(st.sampled_from([*ENTITIES, "light.nobody"]), max_size=3).map(tuple),
    start_us=_BORDER,
    end_us=_BORDER,
    kinds=st.none() | st.lists(st.sampled_from(EventKind), max_size=3).map(tuple),
    origins=st.none() | st.lists(st.sampled_from(Origin), max_size=3).map(tuple),
    limit=st.integers(1, 8),
    newest_first=st.booleans(),
).filter(lambda query: query.start_us is None or query.end_us is None or query.start_us < query.end_us)


async def filled_store(folder: Path, events: Sequence[Event]) -> Store:
    """Return an open store with the events in it."""
    store = Store(folder / "homeiq.db", WallClock())
    await store.append(events)
    return store


def replicate(settings: InfluxSettings, events: Sequence[Event]) -> None:
    """Bring events into the bucket in the order given, as the replica does."""
    delivery = Delivery(settings)
    delivery.write(LineEncoder(settings).encode([replace(event, id=n) for n, event in enumerate(events, 1)]).body)
    delivery.close()


async def pages(reader: HistoryReader, query: EventQuery) -> list[Sequence[Event]]:
    """Return all pages of an answer."""
    found: list[Sequence[Event]] = []
    cursor: str | None = None
    while not found or cursor is not None:
        page = await reader.query(replace(query, cursor=cursor))
        found.append(page.events)
        cursor = page.next_cursor
    return found


def kept(event: Event) -> Event:
    """Return what the layout keeps of an event."""
    facts = event.facts
    kept_facts = EntityFacts(
        registry_id=facts.registry_id,
        area_id=facts.area_id,
        integration=facts.integration,
        device_class=facts.device_class,
    )
    return replace(event, id=None, facts=kept_facts)


def comparable(events: Iterable[Event]) -> tuple[list[int], dict[Any, list[Event]]]:
    """Return the times in order, and each series' events in order: all that is promised about order."""
    times: list[int] = []
    series: dict[Any, list[Event]] = defaultdict(list)
    for event in map(kept, events):
        times.append(event.time_us)
        series[event.kind, event.entity_id, event.name, event.origin, event.facts].append(event)
    return times, series
