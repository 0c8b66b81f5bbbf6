"""A page of rare events is found by an index and does not look at every event."""

from collections.abc import Iterable, Sequence
import sqlite3
from typing import Any

import pytest

from homeiq_engine.model import EventKind, EventQuery, Origin
from homeiq_engine.store import Store, _reading
from homeiq_engine.store._reading import read_page
from tests.engine.store.samples import all_events, events


class _Planner:
    """Pass statements on to a connection and note how SQLite carries them out."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.plan = ""

    async def execute_fetchall(self, sql: str, values: Sequence[object] = ()) -> Iterable[sqlite3.Row]:
        steps = await self._connection.execute_fetchall(f"EXPLAIN QUERY PLAN {sql}", values)
        self.plan = "\n".join(step[3] for step in steps)
        rows: Iterable[sqlite3.Row] = await self._connection.execute_fetchall(sql, values)
        return rows


async def _plan(store: Store, query: EventQuery) -> str:
    async with store.reader() as reader:
        planner = _Planner(reader)
        await read_page(planner, query)
    return planner.plan


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        ({"kinds": (EventKind.CALL, EventKind.LOG)}, "events_by_kind"),
        ({"origins": (Origin.SCENE,)}, "events_by_origin"),
        ({"origins": (Origin.USER, Origin.AUTOMATION), "newest_first": True}, "events_by_origin"),
        ({"origins": (Origin.USER, Origin.DEVICE)}, "events_by_time"),
        ({"kinds": (EventKind.STATE,)}, "events_by_time"),
        ({"entity_ids": ("sensor.s1",), "origins": (Origin.USER,)}, "events_by_origin"),
        ({"entity_ids": ("sensor.s1", "sensor.s2"), "origins": (Origin.USER,)}, "events_by_origin"),
        ({"entity_ids": ("sensor.s1",), "origins": (Origin.USER, Origin.DEVICE)}, "events_by_entity"),
        ({"entity_ids": ("sensor.s1", "sensor.s2")}, "events_by_entity"),
        ({}, "events_by_time"),
    ],
)
async def test_a_page_is_chosen_by_the_index_that_fits(store: Store, wanted: dict[str, Any], index: str) -> None:
    await store.append(events(50))

    plan = await _plan(store, EventQuery(**wanted))

    assert f"USING COVERING INDEX {index}" in plan or f"USING INDEX {index}" in plan
    assert "SCAN events\n" not in plan


async def test_one_entitys_page_of_an_origin_that_is_not_rare_here_is_chosen_by_the_entity(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_reading, "_FEW", 10)
    await store.append(events(11, origin=Origin.USER))
    question = EventQuery(entity_ids=("sensor.s1",), origins=(Origin.USER,))

    assert "USING INDEX events_by_entity" in await _plan(store, question)
    assert {event.entity_id for event in (await store.query(question)).events} == {"sensor.s1"}


@pytest.mark.parametrize("kind", EventKind)
async def test_every_kind_is_found_alone_and_with_others(store: Store, kind: EventKind) -> None:
    for number, each in enumerate(EventKind):
        await store.append(events(3, first=number * 3, kind=each))

    assert [event.kind for event in await all_events(store, kinds=(kind,))] == [kind] * 3
    assert len(await all_events(store, kinds=(kind, EventKind.STATE))) == len({kind, EventKind.STATE}) * 3


@pytest.mark.parametrize("origin", Origin)
async def test_every_origin_is_found_alone_and_with_others(store: Store, origin: Origin) -> None:
    for number, each in enumerate(Origin):
        await store.append(events(3, first=number * 3, origin=each))

    assert [event.origin for event in await all_events(store, origins=(origin,))] == [origin] * 3
    assert len(await all_events(store, origins=(origin, Origin.DEVICE))) == len({origin, Origin.DEVICE}) * 3
