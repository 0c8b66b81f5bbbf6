"""Purging deletes what it should, all of it and nothing else, and leaves no trace where that was promised."""

import asyncio
from pathlib import Path
import sqlite3

import pytest

from homeiq_engine.model import EntityFacts, EventKind, StoreError
from homeiq_engine.store import Store, _connection, _purging
from homeiq_engine.store._purging import PURGED
from tests.engine.store.samples import T0_US, ManualClock, all_events, bytes_on_disk, event, events, raw, without_id


async def test_old_events_go_and_the_rest_stays(store: Store) -> None:
    """Events before the time are deleted, at the time and after are kept, and the counter tells."""
    batch = events(5000)
    await store.append(batch)

    deleted = await store.purge_before(T0_US + 4_500_000)

    assert deleted == 4500
    assert [without_id(one) for one in await all_events(store)] == batch[4500:]
    stats = await store.stats()
    assert (stats.events, stats.counters["purged"], stats.counters["stored"]) == (500, 4500, 5000)


async def test_purging_nothing_changes_nothing(store: Store) -> None:
    """No event is old enough: nothing is deleted, orphans are not looked for."""
    await store.append(events(3))

    assert await store.purge_before(T0_US) == 0
    assert (await store.stats()).counters == {"stored": 3}


async def test_texts_that_nothing_refers_to_go_too(store: Store, path: Path) -> None:
    """Words, payloads and facts of deleted events go unless a kept event uses them; entities stay known."""
    await store.append([event(0, state="shared", payload='{"p":"old"}', facts=EntityFacts(area_id="old"), name="old")])
    await store.append(
        [event(1, state="new", old_state="shared", payload='{"p":"new"}', facts=EntityFacts(area_id="new"))]
    )

    await store.purge_before(T0_US + 1000)

    assert raw(path, "SELECT key FROM texts ORDER BY key") == [("new",), ("shared",)]
    assert raw(path, "SELECT key FROM payloads") == [('{"p":"new"}',)]
    assert raw(path, "SELECT key FROM facts") == [('{"area_id":"new"}',)]
    assert raw(path, "SELECT COUNT(*) FROM entities") == [(2,)]


async def test_texts_may_come_back_after_a_purge(store: Store) -> None:
    """A text whose row was deleted gets a new row, not the remembered id of the deleted one."""
    await store.append([event(0, state="on", payload='{"a":1}')])
    await store.purge_before(T0_US + 1)
    again = event(1, state="on", payload='{"a":1}')
    await store.append([again])

    assert [without_id(one) for one in await all_events(store)] == [again]


async def test_an_orphan_that_is_used_again_meanwhile_is_kept(
    store: Store, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An event stored between finding and deleting the orphans keeps the texts that it uses."""
    await store.append([event(0, state="back soon", payload='{"a":1}'), event(0, state="gone", payload='{"b":1}')])
    comeback = event(9, state="back soon", payload='{"a":1}')
    find = _purging.find_orphans

    async def find_and_wait(reader: object) -> object:
        found = await find(reader)
        await store.append([comeback])
        return found

    monkeypatch.setattr("homeiq_engine.store._store.find_orphans", find_and_wait)
    await store.purge_before(T0_US + 1)

    assert [without_id(one) for one in await all_events(store)] == [comeback]
    assert raw(path, "SELECT key FROM texts") == [("back soon",)]


async def test_others_may_write_during_a_long_purge(store: Store) -> None:
    """A purge of many events lets appends in between its steps, and neither loses anything."""
    await store.append(events(20_000))

    deleted, *stored = await asyncio.gather(
        store.purge_before(T0_US + 20_000_000),
        *(store.append(events(10, first=20_000 + number * 10)) for number in range(20)),
    )

    assert (deleted, sum(stored)) == (20_000, 200)
    found = await all_events(store)
    assert len(found) == 200
    assert [one.state for one in found] == [str(number) for number in range(20_000, 20_200)]


async def test_a_purge_gives_the_disk_its_pages_back(store: Store, path: Path) -> None:
    """After deleting nearly all, the file is a fraction of what it was."""
    await store.append([event(number, payload=f"{number:05d}" * 300) for number in range(6000)])
    await store.write(_purging.empty_wal)
    before = path.stat().st_size

    await store.purge_before(T0_US + 5_990_000)
    await store.write(_purging.empty_wal)

    assert path.stat().st_size < before / 10


async def test_closing_ends_a_purge(store: Store) -> None:
    """A purge that runs when the store is closed ends with the reason, between two steps."""
    await store.append(events(20_000))
    purge = asyncio.ensure_future(store.purge_before(T0_US + 20_000_000))
    await asyncio.sleep(0.02)
    await store.close()

    with pytest.raises(StoreError) as ended:
        await purge

    assert ended.value.placeholders["reason"] == "closed"


SECRET = "light.secret_room"
FRIENDLY = "Grandmother's lamp"


async def _fill_with_mentions(store: Store) -> None:
    """Store thousands of events of a secret entity, others about it, and others that only look like it."""
    facts = EntityFacts(area_id="attic")
    for start in range(0, 3000, 500):
        await store.append(
            [
                *(
                    event(
                        number,
                        entity_id=SECRET,
                        state=f"{number}.5",
                        payload=f'{{"friendly_name":"{FRIENDLY}","n":{number}}}',
                        facts=facts,
                    )
                    for number in range(start, start + 500)
                ),
                *events(500, first=start),
                *(
                    event(
                        number,
                        entity_id=None,
                        kind=EventKind.LOG,
                        name=f"log{number}",
                        payload=f'{{"m":"{SECRET} {number} failed"}}',
                    )
                    for number in range(start, start + 20)
                ),
            ]
        )
    await store.append(
        [
            event(2991, entity_id="sensor.last", state=SECRET, old_state=f"{SECRET} 1", responsible=SECRET),
            event(
                2992,
                entity_id="sensor.last",
                state=f"{SECRET} 2",
                old_state=f"states.{SECRET}.state",
                user_id=f"u {SECRET}",
            ),
            event(
                2993,
                entity_id=None,
                kind=EventKind.CALL,
                name="light.turn_on",
                payload=f'{{"entity_id":["{SECRET}","light.b"]}}',
            ),
            event(2994, entity_id=f"{SECRET}_2", state="on", payload=f'{{"a":"{SECRET}_2"}}'),
        ]
    )


async def test_a_purged_entity_is_nowhere_in_the_files(store: Store, path: Path) -> None:
    """Neither the entity's id nor the name it carried is left in a byte of database or WAL; others are untouched."""
    await _fill_with_mentions(store)
    await store.purge_before(T0_US + 200_000)
    held = (await store.stats()).events

    report = await store.purge_entity(SECRET)

    content = bytes_on_disk(path).replace(f"{SECRET}_2".encode(), b"")
    assert SECRET.encode() not in content
    assert FRIENDLY.encode() not in content
    assert report == (2800, 101)
    assert (await store.stats()).events == held - 2800


async def test_what_others_hold_of_a_purged_entity_is_replaced(store: Store) -> None:
    """Other events keep their place and everything else in them; a longer id is no mention."""
    await _fill_with_mentions(store)
    await store.purge_entity(SECRET)

    one, two = await all_events(store, entity_ids=("sensor.last",))
    (call,) = await all_events(store, kinds=(EventKind.CALL,))
    (longer,) = await all_events(store, entity_ids=(f"{SECRET}_2",))

    assert (one.state or "").startswith(f"{PURGED} #")
    assert (one.old_state, one.responsible) == (f"{PURGED} 1", None)
    assert two.state == f"{PURGED} 2"
    assert (two.old_state or "").startswith(f"states.{PURGED}.state #")
    assert (two.user_id or "").startswith(f"u {PURGED} #")
    assert call.payload == f'{{"entity_id":["{PURGED}","light.b"]}}'
    assert (longer.state, longer.payload) == ("on", f'{{"a":"{SECRET}_2"}}')


async def test_a_purged_entity_may_come_back(store: Store) -> None:
    """Events of the same entity and texts that mention it are stored anew, as new."""
    await _fill_with_mentions(store)
    await store.purge_entity(SECRET)
    again = event(
        9, entity_id=SECRET, state=SECRET, payload=f'{{"entity_id":["{SECRET}","light.b"]}}', responsible=SECRET
    )
    await store.append([again])

    assert [without_id(one) for one in await all_events(store, entity_ids=(SECRET,))] == [again]


async def test_purging_an_entity_gives_the_disk_its_pages_back(store: Store, path: Path) -> None:
    """The room of a talkative entity is free for others' files at once."""
    await store.append([event(number, entity_id=SECRET, payload=f"{number:05d}" * 300) for number in range(6000)])
    await store.append(events(10))

    await store.purge_entity(SECRET)

    assert path.stat().st_size < 500_000
    assert len(await all_events(store)) == 10


async def test_purging_an_unknown_entity_changes_nothing(store: Store) -> None:
    """Nothing is held of it: nothing deleted, nothing changed."""
    await store.append(events(3))

    assert await store.purge_entity("light.none") == (0, 0)
    assert len(await all_events(store)) == 3


async def test_a_reader_in_the_way_of_a_purge_is_told(
    store: Store, path: Path, monkeypatch: pytest.MonkeyPatch, clock: ManualClock
) -> None:
    """While a reader holds the old state alive the purge says so; asked again after the reader is gone, it is clean."""
    monkeypatch.setattr(_connection, "BUSY_TIMEOUT_MS", 50)
    await store.close()
    store = Store(path, clock)
    await _fill_with_mentions(store)
    reader = sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT COUNT(*) FROM events").fetchone()

    with pytest.raises(StoreError) as told:
        await store.purge_entity(SECRET)
    reader.close()
    await store.purge_entity(SECRET)

    assert told.value.placeholders["reason"] == "locked"
    assert SECRET.encode() not in bytes_on_disk(path).replace(f"{SECRET}_2".encode(), b"")
    await store.close()
