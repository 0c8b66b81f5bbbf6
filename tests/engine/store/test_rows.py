"""Events come back from the store exactly as they went in."""

import asyncio
from copy import copy
from dataclasses import FrozenInstanceError
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import example, given, settings, strategies as st
import pytest

from homeiq_engine.model import EntityFacts, Event, EventKind, Origin
from homeiq_engine.store import Store
from homeiq_engine.store._rows import facts_from_json, facts_to_json, is_inline, pack_context, unpack_context
from homeiq_engine.store._times import from_column, to_column
from tests.engine.store.samples import CONTEXTS, EVENTS, FACTS, ManualClock, all_events, event, events, raw, without_id

_ULID = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
_ULID_US = 1_469_922_850_259_000


@given(CONTEXTS, st.integers(0, 253_402_300_799_999_999))
@example(_ULID, _ULID_US)
@example(_ULID, _ULID_US + 999)
@example(_ULID, _ULID_US + 1_000)
@example("00000000000000000000000000", 0)
@example("7ZZZZZZZZZZZZZZZZZZZZZZZZZ", 0)
@example("8ZZZZZZZZZZZZZZZZZZZZZZZZZ", 0)
@example("01arz3ndektsv4rrffq69g5fav", _ULID_US)
@example("01ARZ3NDEKTSV4RRFFQ69G5FAI", _ULID_US)
def test_every_context_id_comes_back_unchanged(context: str | None, time_us: int) -> None:
    """A ULID, of the event's millisecond or not, a lower-case one, one beyond 128 bits and any other text survive."""
    assert unpack_context(pack_context(context, time_us), time_us) == context


@pytest.mark.parametrize(
    ("time_us", "packed"),
    [
        (_ULID_US - 1, "01563e3ab5d3d6764c61efb99302bd5b"),
        (_ULID_US, "d6764c61efb99302bd5b"),
        (_ULID_US + 999, "d6764c61efb99302bd5b"),
        (_ULID_US + 1_000, "01563e3ab5d3d6764c61efb99302bd5b"),
    ],
)
def test_a_ulid_takes_sixteen_bytes_or_ten_in_its_own_millisecond(time_us: int, packed: str) -> None:
    """What the event's time tells already is not kept twice."""
    assert pack_context(_ULID, time_us) == bytes.fromhex(packed)


@pytest.mark.parametrize(
    ("day", "size"),
    [("2024-07-18", 6), ("2026-11-24", 6), ("2033-06-17", 6), ("2024-07-15", 8), ("2033-06-18", 8), ("1970-01-01", 8)],
)
def test_a_time_of_these_years_takes_six_bytes(day: str, size: int) -> None:
    """SQLite keeps a whole number in 6 bytes from -2^47 to 2^47 - 1 and in 8 beyond; all are exact."""
    time_us = int(datetime.fromisoformat(f"{day}T00:00:00+00:00").timestamp()) * 1_000_000
    assert (8 if not -(2**47) <= to_column(time_us) < 2**47 else 6, from_column(to_column(time_us))) == (size, time_us)


@given(FACTS)
def test_facts_come_back_unchanged(facts: EntityFacts) -> None:
    """Facts survive their JSON form."""
    assert facts_from_json(facts_to_json(facts)) == facts


def test_a_field_of_a_newer_version_is_left_out() -> None:
    """Facts that a newer HomeIQ wrote are read as far as they are known."""
    assert facts_from_json('{"area_id":"kitchen","aura":"blue"}') == EntityFacts(area_id="kitchen")


@pytest.mark.parametrize(
    ("state", "inline"),
    [("21.5", True), ("on", False), ("", False), ("1" * 64, True), ("1" * 65, False), ("٣", False), ("a1", True)],
)
def test_only_short_states_with_an_ascii_digit_are_inline(state: str, inline: bool) -> None:
    """Numbers and timestamps stay in their row, words are kept once."""
    assert is_inline(state) is inline


@settings(max_examples=40, deadline=None)
@given(st.lists(EVENTS, max_size=12))
def test_any_event_comes_back_as_it_went_in(batch: list[Event]) -> None:
    """Every field of every event survives the store, in the order of storing, and after it was opened anew."""

    async def there_and_back() -> list[Event]:
        with TemporaryDirectory() as folder:
            store = Store(Path(folder) / "homeiq.db", ManualClock())
            assert await store.append(batch) == len(batch)
            await store.close()
            again = Store(Path(folder) / "homeiq.db", ManualClock())
            try:
                return list(await again.events_after(0, 100))
            finally:
                await again.close()

    found = asyncio.run(there_and_back())

    assert [without_id(one) for one in found] == batch
    assert [one.id for one in found] == list(range(1, len(batch) + 1))


@pytest.mark.parametrize("count", [1, 2, 3, 511, 512, 513, 1023, 1025, 2000])
async def test_a_batch_of_any_size_is_stored_whole(store: Store, count: int) -> None:
    """Batches are cut into statements of powers of two without losing or repeating a row."""
    batch = events(count)

    await store.append(batch)

    assert [without_id(one) for one in await store.events_after(0, 10_000)] == batch


async def test_equal_texts_are_kept_once(store: Store, path: Path) -> None:
    """Entities, words, actors, facts and payloads are shared between events and between batches."""
    same = {
        "entity_id": "light.a",
        "state": "on",
        "old_state": "off",
        "payload": '{"a":1}',
        "user_id": "u",
        "responsible": "u",
        "facts": EntityFacts(area_id="kitchen"),
    }
    await store.append(events(300, **same))
    await store.append(events(300, first=300, **same))
    await store.close()

    counts = [
        raw(path, f"SELECT COUNT(*) FROM {table}")[0][0]
        for table in ("entities", "texts", "actors", "facts", "payloads")
    ]

    assert counts == [1, 2, 1, 1, 1]


async def test_a_batch_may_hold_more_texts_than_the_cache(store: Store) -> None:
    """A text that falls out of the cache is looked up again and not stored twice."""
    many = [event(number, state=f"word {'x' * (number % 50)}{chr(0x4E00 + number)}") for number in range(20_500)]
    await store.append(many)
    await store.append(many[:50])

    found = await store.events_after(20_500, 100)

    assert [one.state for one in found] == [one.state for one in many[:50]]


@pytest.mark.parametrize("kind", list(EventKind))
@pytest.mark.parametrize("origin", list(Origin))
async def test_every_kind_and_origin_is_kept(store: Store, kind: EventKind, origin: Origin) -> None:
    """No kind or origin is mistaken for another."""
    await store.append([event(kind=kind, origin=origin)])

    (found,) = await store.events_after(0, 10)

    assert (found.kind, found.origin) == (kind, origin)


async def test_an_event_that_was_read_is_as_frozen_and_as_whole_as_one_that_was_made(store: Store) -> None:
    made = event(1, payload="{}", name="x")
    await store.append([made])

    (read,) = await all_events(store)

    assert type(read) is type(made)
    assert without_id(read) == made
    assert hash(without_id(read)) == hash(made)
    assert copy(read) == read
    with pytest.raises(FrozenInstanceError):
        read.state = "other"
