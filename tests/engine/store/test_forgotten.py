"""What was forgotten stays so: only hashes are kept, with the time until which nothing may come back."""

import json
from pathlib import Path

import pytest

from homeiq_engine.store import Store, entity_hash, export_events, forget_entity, forgotten_entities, import_events
from homeiq_engine.store._forgotten import to_forgotten
from tests.engine.store.samples import T0_US, ManualClock, all_events, bytes_on_disk, event, events, without_id


async def test_only_a_hash_and_a_time_are_kept(store: Store, path: Path, clock: ManualClock) -> None:
    """The store does not name what was forgotten; forgotten twice, the later time counts."""
    await forget_entity(store, "light.secret")
    clock.us += 5
    await forget_entity(store, "light.secret")
    await forget_entity(store, "light.b")

    assert await forgotten_entities(store) == {
        entity_hash("light.secret"): T0_US + 5,
        entity_hash("light.b"): T0_US + 5,
    }
    assert b"light.secret" not in bytes_on_disk(path)


async def test_the_list_of_step_1_is_taken_over(store: Store, clock: ManualClock) -> None:
    """Entities that an earlier version forgot have no time: they count as forgotten now, and keep the time of moving."""
    await store.set_meta("backfill_forgotten", json.dumps([entity_hash("light.a")]))
    before = await forgotten_entities(store)
    await forget_entity(store, "light.b")
    clock.us += 1000

    assert before == {entity_hash("light.a"): T0_US}
    assert await forgotten_entities(store) == {entity_hash("light.a"): T0_US, entity_hash("light.b"): T0_US}
    assert await store.get_meta("backfill_forgotten") is None


@pytest.mark.parametrize("from_export", [True, False])
async def test_an_import_brings_nothing_back(
    store: Store, tmp_path: Path, clock: ManualClock, from_export: bool
) -> None:
    """Events from before the forgetting are left out, mentions in others are replaced, later events are stored."""
    source = Store(tmp_path / "source.db", clock)
    await source.append(
        [
            event(1, entity_id="light.a"),
            event(2, entity_id="group.g", payload='{"members":["light.a","light.ab"]}', responsible="light.a"),
            event(3, entity_id="sensor.text", state="light.a 1 is on", old_state="off", name="light.a"),
            event(9, entity_id="light.a"),
            event(10, entity_id="group.g", payload='{"members":["light.a"]}', responsible="light.a"),
        ]
    )
    await export_events(source, tmp_path / "export")
    clock.us = T0_US + 5000
    await forget_entity(store, "light.a")

    report = await import_events(store, {True: tmp_path / "export", False: source.path}[from_export])

    assert (report.stored, report.forgotten) == (4, 1)
    assert [without_id(one) for one in await all_events(store)] == [
        event(2, entity_id="group.g", payload='{"members":["**PURGED**","light.ab"]}'),
        event(3, entity_id="sensor.text", state="**PURGED** 1 is on", old_state="off", name="**PURGED**"),
        event(9, entity_id="light.a"),
        event(10, entity_id="group.g", payload='{"members":["light.a"]}', responsible="light.a"),
    ]
    await source.close()


async def test_nothing_forgotten_leaves_all_as_it_is(store: Store, tmp_path: Path, clock: ManualClock) -> None:
    """Without any forgotten entity an import stores what it reads."""
    source = Store(tmp_path / "source.db", clock)
    await source.append(events(3))

    report = await import_events(store, source.path)

    assert (report.stored, report.forgotten) == (3, 0)
    await source.close()


def test_what_an_export_says_is_believed_as_far_as_it_fits() -> None:
    """A header that was changed by hand does no harm."""
    assert to_forgotten({"a": 5, "b": "x", "c": True}) == {"a": 5}
    assert to_forgotten(["a"]) == to_forgotten(None) == {}
