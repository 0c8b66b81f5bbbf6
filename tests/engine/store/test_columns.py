"""The store is read as columns from its own file, read-only, with nothing lost and nothing invented."""

from collections.abc import AsyncIterator
from pathlib import Path
import sqlite3

import pytest

from homeiq_engine.model import SLOT_US, ActColumns, Event, EventKind, Origin, StoreError
from homeiq_engine.store import Store, read_acts

ORIGINS = tuple(Origin)
DAY = 86_400_000_000


class _Clock:
    def now_us(self) -> int:
        return 0

    def monotonic(self) -> float:
        return 0.0


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = Store(tmp_path / "odd name?#%20.db", _Clock())
    yield opened
    await opened.close()


def _state(entity_id: str, time_us: int, state: str | None, old: str | None = "off", **more: object) -> Event:
    facts: dict[str, object] = {"kind": EventKind.STATE, "origin": Origin.USER, **more}
    return Event(time_us=time_us, entity_id=entity_id, state=state, old_state=old, **facts)


def _rows(columns: ActColumns) -> list[tuple[str, int, str | None, str | None, Origin]]:
    texts = (*columns.states, None)
    return [
        (columns.entities[entity], time_us, texts[state], texts[old], ORIGINS[origin])
        for entity, time_us, state, old, origin in zip(
            columns.entity, columns.time_us, columns.state, columns.old_state, columns.origin, strict=True
        )
    ]


async def test_state_changes_of_the_domains_come_by_entity_then_time(store: Store) -> None:
    events = [
        _state("light.b", 30, "on"),
        _state("light.a", 20, "on", origin=Origin.DEVICE),
        _state("sensor.x", 21, "1.5", "1.4"),
        _state("light.b", 10, "on", None, origin=Origin.SYSTEM),
        _state("input_select.mode", 15, "Mode 7", "Mode 6", origin=Origin.AUTOMATION),
        _state("light.a", 25, None, "on", origin=Origin.SCENE),
    ]
    await store.append(events)
    columns = read_acts(store.path, 0, DAY, ("light", "input_select"))
    assert sorted(_rows(columns), key=lambda row: row[:2]) == [
        ("input_select.mode", 15, "Mode 7", "Mode 6", Origin.AUTOMATION),
        ("light.a", 20, "on", "off", Origin.DEVICE),
        ("light.a", 25, None, "on", Origin.SCENE),
        ("light.b", 10, "on", None, Origin.SYSTEM),
        ("light.b", 30, "on", "off", Origin.USER),
    ]
    places = list(zip(columns.entity, columns.time_us, strict=True))
    assert places == sorted(places)
    assert columns.events_read == 6
    assert columns.entity_count == 4


async def test_only_the_range_asked_for_is_read_its_end_excluded(store: Store) -> None:
    await store.append([_state("light.a", time_us, "on") for time_us in (99, 100, 199, 200)])
    assert list(read_acts(store.path, 100, 200, ("light",)).time_us) == [100, 199]


async def test_events_of_another_kind_are_signs_of_life_but_no_acts(store: Store) -> None:
    await store.append(
        [
            _state("light.a", 5, "on", kind=EventKind.ATTRIBUTES),
            Event(kind=EventKind.SYSTEM, time_us=SLOT_US * 3, origin=Origin.SYSTEM, name="homeassistant_started"),
            _state("light.a", SLOT_US * 3 + 1, "on"),
        ]
    )
    columns = read_acts(store.path, 0, DAY, ("light",))
    assert list(columns.time_us) == [SLOT_US * 3 + 1]
    assert dict(zip(columns.slots, columns.slot_events, strict=True)) == {0: 1, 3: 2}


async def test_an_outage_is_the_time_that_an_entity_spent_unavailable(store: Store) -> None:
    hour = 3_600_000_000
    await store.append(
        [
            _state("sensor.a", 5 * hour, "1", "unavailable", held_us=2 * hour),
            _state("sensor.b", 5 * hour, "1", "unavailable", held_us=60_000_000),
            _state("sensor.c", 5 * hour, "1", "2", held_us=2 * hour),
        ]
    )
    columns = read_acts(store.path, 0, DAY, ("light",))
    assert (list(columns.outage_start_us), list(columns.outage_end_us)) == ([3 * hour], [5 * hour])


async def test_an_empty_store_gives_empty_columns(store: Store) -> None:
    await store.open()
    columns = read_acts(store.path, 0, DAY, ("light",))
    assert (_rows(columns), columns.entities, columns.events_read, columns.entity_count) == ([], (), 0, 0)


async def test_more_rows_than_a_batch_are_all_read(store: Store) -> None:
    await store.append([_state("light.a", time_us, "on" if time_us % 2 else "off") for time_us in range(25_000)])
    columns = read_acts(store.path, 0, DAY, ("light",))
    assert list(columns.time_us) == list(range(25_000))
    assert columns.states[columns.state[24_999]] == "on"


async def test_every_origin_comes_back_as_itself(store: Store) -> None:
    await store.append([_state("light.a", i, "on", origin=origin) for i, origin in enumerate(ORIGINS)])
    assert [ORIGINS[code] for code in read_acts(store.path, 0, DAY, ("light",)).origin] == list(ORIGINS)


def test_a_missing_file_is_a_store_error_and_is_not_created(tmp_path: Path) -> None:
    with pytest.raises(StoreError):
        read_acts(tmp_path / "none.db", 0, DAY, ("light",))
    assert list(tmp_path.iterdir()) == []


def test_another_program_s_database_is_a_store_error(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "other.db")
    connection.execute("CREATE TABLE pets (name TEXT)")
    connection.close()
    with pytest.raises(StoreError):
        read_acts(tmp_path / "other.db", 0, DAY, ("light",))


def test_a_file_of_rubbish_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "rubbish.db").write_bytes(b"not a database at all " * 100)
    with pytest.raises(StoreError):
        read_acts(tmp_path / "rubbish.db", 0, DAY, ("light",))
