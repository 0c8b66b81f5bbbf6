"""A follower keeps its place and its dead letters, both or neither, and finds its events again."""

from collections.abc import Sequence
from pathlib import Path
import sqlite3

from hypothesis import HealthCheck, given, settings, strategies as st
import pytest

from homeiq_engine.model import DeadLetter, StoreError
from homeiq_engine.store import Follower, Store, _follower, cursors
from tests.engine.store.samples import T0_US, ManualClock, bytes_on_disk, event, events


@pytest.fixture
def follower(store: Store) -> Follower:
    """Return a follower of the store that never was here."""
    return Follower(store, "a")


def letter(row: int, **fields: object) -> DeadLetter:
    """Return a letter about a row of ``events``."""
    given = {
        "event_id": row, "time_us": T0_US + (row - 1) * 1000, "entity_id": f"sensor.s{(row - 1) % 7}",
        "line": f"sensor state=\"{row}\" {row}", "status": 422, "words": "422: no", "noted_us": T0_US,
    }  # fmt: skip
    return DeadLetter(**(given | fields))


async def _rows(follower: Follower) -> Sequence[int]:
    return [one.event_id for one in await follower.dead_letters(limit=1000)]


async def test_a_cursor_moves_forward_only_unless_it_is_rewound(store: Store, follower: Follower) -> None:
    """A late word of a replica that was stopped cannot undo the progress of the next."""
    seen = [await follower.cursor()]
    for row in (5, 7, 6):
        await follower.advance(row)
        seen.append(await follower.cursor())
    await follower.rewind(2)
    seen.append(await follower.cursor())

    assert seen == [None, 5, 7, 7, 2]


async def test_followers_do_not_meddle_with_one_another(store: Store, follower: Follower) -> None:
    """Cursors and letters are kept by name; forgetting one follower leaves the other."""
    await store.append(events(3))
    other = Follower(store, "b")
    await follower.advance(2, [letter(1), letter(2)])
    await other.advance(3, [letter(3)])
    both = await cursors(store)

    await follower.forget()

    assert both == {"a": 2, "b": 3}
    assert await cursors(store) == {"b": 3}
    assert (await follower.cursor(), await _rows(follower), await _rows(other)) == (None, [], [3])


async def test_letters_come_back_as_they_were(store: Store, follower: Follower) -> None:
    """All that was told of a refusal is there, also for an event without an entity; ids are the store's."""
    await store.append([*events(2), event(2, entity_id=None, name="call")])
    letters = [letter(1), letter(2, status=None, words="413: näh 😀"), letter(3, entity_id=None)]

    await follower.advance(3, letters)

    assert await follower.dead_letters() == [
        DeadLetter(**{name: getattr(one, name) for name in DeadLetter.__slots__} | {"id": number})
        for number, one in enumerate(letters, 1)
    ]


async def test_letters_are_read_page_by_page_and_deleted_by_id(store: Store, follower: Follower) -> None:
    """Pages go on after a letter's id; some or all can be deleted, and the count follows."""
    await store.append(events(1000))
    await follower.advance(1000, [letter(row) for row in range(1, 1001)])
    first = await follower.dead_letters(limit=400)
    second = await follower.dead_letters(after_id=first[-1].id or 0, limit=1000)

    deleted = await follower.delete_dead_letters([one.id or 0 for one in first])
    left = await follower.dead_letter_count()

    assert [one.event_id for one in (*first, *second)] == list(range(1, 1001))
    assert (deleted, left) == (400, 600)
    assert await follower.delete_dead_letters([]) == 0
    assert await follower.delete_dead_letters() == 600
    assert await follower.dead_letter_count() == 0


async def test_a_letter_that_is_refused_again_has_the_new_words(store: Store, follower: Follower) -> None:
    """There is one letter for an event, and it keeps its id."""
    await store.append(events(2))
    await follower.advance(2, [letter(1), letter(2)])

    await follower.advance(2, [letter(1, words="422: still no", status=400, noted_us=T0_US + 9)])

    first, second = await follower.dead_letters()
    assert (first.id, first.words, first.status, first.noted_us) == (1, "422: still no", 400, T0_US + 9)
    assert second.words == "422: no"


async def test_cursor_and_letters_are_kept_both_or_neither(store: Store, follower: Follower) -> None:
    """A letter that the database does not take leaves the cursor where it was."""
    await store.append(events(2))
    await follower.advance(1)

    with pytest.raises(sqlite3.IntegrityError):
        await follower.advance(2, [letter(1), letter(2, words=None)])

    assert (await follower.cursor(), await _rows(follower)) == (1, [])


async def test_a_letter_comes_too_late_for_a_purged_event(store: Store, follower: Follower) -> None:
    """What the purge of an entity has deleted does not come back as a dead letter."""
    await store.append(events(3))
    await store.purge_entity("sensor.s1")

    await follower.advance(3, [letter(1), letter(2)])

    assert (await follower.cursor(), await _rows(follower)) == (3, [1])


async def test_a_letter_outlives_its_event_and_can_be_renewed(store: Store, follower: Follower) -> None:
    """Retention has taken the event; what its line was is still known."""
    await store.append(events(3))
    await follower.advance(3, [letter(1)])
    await store.purge_before(T0_US + 2000)

    await follower.advance(3, [letter(1, words="422: again")])

    assert [one.words for one in await follower.dead_letters()] == ["422: again"]


async def test_an_entitys_purge_takes_its_letters_and_every_mention(
    store: Store, follower: Follower, path: Path
) -> None:
    """Not a byte of the entity's id is left in the file; letters of others stay."""
    await store.append([event(0, entity_id="lock.secret_door"), event(1, entity_id="sensor.s1"), event(2)])
    line = 'homeiq_call data="{\\"entity_id\\":\\"lock.secret_door\\"}" 1'
    await follower.advance(
        3, [letter(1, entity_id="lock.secret_door", line="lock,entity_id=lock.secret_door 1"), letter(2, line=line)]
    )

    await store.purge_entity("lock.secret_door")

    (left,) = await follower.dead_letters()
    assert left.line == 'homeiq_call data="{\\"entity_id\\":\\"**PURGED**\\"}" 1'
    assert b"secret_door" not in bytes_on_disk(path)


async def test_beyond_the_limit_the_oldest_letters_go_and_are_counted(
    store: Store, follower: Follower, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that refuses everything for weeks does not fill the disk; another follower's letters stay."""
    monkeypatch.setattr(_follower, "MAX_DEAD_LETTERS", 10)
    await store.append(events(25))
    other = Follower(store, "b")
    await other.advance(1, [letter(1)])
    await follower.advance(12, [letter(row) for row in range(1, 13)])
    await follower.advance(25, [letter(row) for row in range(13, 26)])

    assert await _rows(follower) == list(range(16, 26))
    assert await _rows(other) == [1]
    assert (await store.stats()).counters["dead_letters_dropped"] == 15


async def test_what_a_follower_reads_is_the_stores(store: Store, follower: Follower) -> None:
    """Events after a row and the last row id are those of the store."""
    await store.append(events(10))

    assert [one.id for one in await follower.events_after(4, 3)] == [5, 6, 7]
    assert await follower.last_row_id() == 10


async def test_a_closed_store_says_so(store: Store, follower: Follower) -> None:
    """A follower whose store is closed gets its error."""
    await store.close()

    with pytest.raises(StoreError, match="closed"):
        await follower.cursor()
    with pytest.raises(StoreError, match="closed"):
        await follower.advance(1)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    times=st.lists(st.integers(0, 12), max_size=40),
    span=st.tuples(st.integers(0, 12), st.integers(0, 13)),
    page=st.integers(1, 7),
    last_row=st.integers(0, 40),
)
async def test_spans_of_time_are_found_in_the_order_of_rows(
    times: list[int], span: tuple[int, int], page: int, last_row: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """For rows of any times, late ones and twins too, spans, moments, counts and the first row equal a plain search."""
    store = Store(tmp_path_factory.mktemp("span") / "homeiq.db", ManualClock())
    follower = Follower(store, "a")
    await store.append([event(0, time_us=T0_US + moment) for moment in times])
    start, end = T0_US + span[0], T0_US + span[1]
    rows = list(enumerate((T0_US + moment for moment in times), 1))
    found: list[int] = []
    while part := await follower.events_in(start, end, found[-1] if found else 0, page):
        found += [one.id or 0 for one in part]
    at = [one.id for one in await follower.events_at(start, 100)]
    count, first = await follower.count_in(start, end, last_row), await follower.first_row_since(start)
    await store.close()

    assert found == [row for row, moment in rows if start <= moment < end]
    assert at == [row for row, moment in rows if moment == start]
    assert count == len([row for row in found if row <= last_row])
    assert first == min((row for row, moment in rows if moment >= start), default=None)
