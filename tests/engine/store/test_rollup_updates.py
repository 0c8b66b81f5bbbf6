"""An update may come late, be broken off anywhere or be overtaken, and the next one makes it good."""

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from homeiq_engine.model import Event, EventKind, RollUpQuery, Span, StoreError
from homeiq_engine.store import Retention, RetentionPolicy, RollUps, Store, _pace, _rollup, _rollup_compute
from homeiq_engine.store._pace import Pace
from tests.engine.store.interrupting import Interrupter
from tests.engine.store.rollup_samples import DAY_US, HOUR_US, all_rollups, approximately, brute, plainly, us
from tests.engine.store.samples import ManualClock, event, raw

UTC = ZoneInfo("UTC")
T_US = us("2026-06-10 00:00")
ROLLUPS = "SELECT * FROM rollups"


@pytest.fixture
def rollups(store: Store) -> RollUps:
    """Return the store's roll-ups in UTC."""
    return RollUps(store, lambda: UTC)


def at(hour: float, state: str | None, entity_id: str = "sensor.a", **fields: Any) -> Event:
    """Return a change of state so many hours after the test's midnight."""
    given = {"time_us": T_US + round(hour * HOUR_US), "state": state, "entity_id": entity_id, "old_state": "?"}
    return event(**(given | fields))


async def hours(rollups: RollUps, entity_id: str = "sensor.a", first: int = 0, end: int = 48) -> list[tuple]:
    """Return (hour, events, mean, rise, last state) of an entity's hours."""
    query = RollUpQuery(
        entity_ids=(entity_id,), start_us=T_US + first * HOUR_US, end_us=T_US + end * HOUR_US, span=Span.HOUR
    )
    return [
        ((one.start_us - T_US) // HOUR_US, one.events, one.mean, one.rise, one.state)
        for one in await rollups.query(query)
    ]


def mixed(count: int) -> list[Event]:
    """Return events of some entities, each hour a few, in no order of time."""
    return [
        at(number * 7 % 97 / 2, str(number % 11) if number % 5 else "off", f"sensor.s{number % 3}")
        for number in range(count)
    ]


@pytest.mark.parametrize("batches", [1, 3])
async def test_broken_off_between_any_two_steps_it_goes_on(
    path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, batches: int
) -> None:
    """Whichever write of the last update is the first that does not come, the next update ends where one alone would."""
    monkeypatch.setattr(_pace, "_LEAST_ROWS", 7)
    monkeypatch.setattr(_rollup, "_STEP_BUCKETS", 7)
    monkeypatch.setattr(_rollup, "MARK_ROWS", 40)
    monkeypatch.setattr(_rollup_compute, "_CHUNK_BUCKETS", 20)
    monkeypatch.setattr(_rollup_compute, "_PAGE", 9)
    everything = mixed(90)
    parts = [everything[number::batches] for number in range(batches)]

    async def broken_off(after: float) -> tuple[int, object, object]:
        store = Store(path.with_name(f"{after}.db"), clock)
        rollups = RollUps(store, lambda: UTC)
        interrupter = Interrupter(store, monkeypatch)
        for part in parts[:-1]:
            await store.append(part)
            await rollups.update(T_US + 2 * DAY_US)
        await store.append(parts[-1])
        interrupter.left, interrupter.let_through = after, 0
        with suppress(StoreError):
            await rollups.update(T_US + 3 * DAY_US)
        steps = interrupter.let_through
        interrupter.left = float("inf")
        again = RollUps(store, lambda: UTC)
        await again.update(T_US + 3 * DAY_US)
        found = await all_rollups(again, T_US, T_US + 3 * DAY_US)
        left = raw(store.path, ROLLUPS), raw(store.path, "SELECT * FROM rollup_due")
        await store.close()
        return steps, left, plainly(found)

    steps, left, found = await broken_off(float("inf"))
    in_order = [one for part in parts for one in part]
    assert found == approximately(brute(in_order, UTC, T_US + 3 * DAY_US))
    assert steps > 10
    assert [await broken_off(number) for number in range(steps)] == [(number, left, found) for number in range(steps)]


async def test_a_late_event_reaches_as_far_as_its_state_goes_on(store: Store, rollups: RollUps) -> None:
    """It counts in its hour, and in the hours after up to the next change, which are computed anew."""
    await store.append([at(0.5, "10"), at(3.5, "10"), at(3.75, "30", kind=EventKind.ATTRIBUTES), at(9.5, "50")])
    await rollups.update(T_US + DAY_US)
    before = await hours(rollups, end=10)
    await store.append([at(1.5, "20")])
    written = await rollups.update(T_US + DAY_US)

    assert before[:4] == [
        (0, 1, 10.0, 0.0, "10"),
        (1, 0, 10.0, 0.0, "10"),
        (2, 0, 10.0, 0.0, "10"),
        (3, 2, 10.0, 0.0, "10"),
    ]
    assert (await hours(rollups, end=10))[:4] == [
        (0, 1, 10.0, 0.0, "10"),
        (1, 1, 15.0, 10.0, "20"),
        (2, 0, 20.0, 0.0, "20"),
        (3, 2, 15.0, 10.0, "10"),
    ]
    # Its own hour, the next two with events (the peak is another one), and the day.
    assert written == 3


async def test_an_hour_whose_raw_rows_are_gone_stays_as_it_is(store: Store, rollups: RollUps) -> None:
    """A late event of a purged hour changes nothing there; an hour that had none is rolled up from late events alone."""
    await store.append([at(0.2, "1"), at(0.5, "2"), at(30, "3"), at(60, "4")])
    await Retention(store, rollups).run(T_US + 3 * DAY_US, RetentionPolicy(raw_days=2), {})
    before = await hours(rollups)

    await store.append([at(0.7, "9"), at(5.5, "6")])
    await rollups.update(T_US + 3 * DAY_US)

    after = await hours(rollups)
    assert before[0] == after[0] == (0, 2, pytest.approx((0.3 * 1 + 0.5 * 2) / 0.8), 1.0, "2")
    assert after[1:5] == before[1:5]
    assert after[5] == (5, 1, 4.0, 4.0, "6")
    assert after[6] == (6, 0, 6.0, 0.0, "6")
    assert raw(store.path, "SELECT COUNT(*) FROM rollup_due") == [(0,)]


async def test_a_bucket_waits_until_it_has_ended(store: Store, rollups: RollUps) -> None:
    """The running hour and day, and whatever a wrong clock dates into the future, come when their time has passed."""
    await store.append([at(0.5, "1"), at(1.5, "2"), at(50, "3")])

    written = [await rollups.update(T_US + round(hour * HOUR_US)) for hour in (0.9, 1, 1.9, 2, 24, 24, 49, 73)]

    assert written == [0, 1, 0, 1, 1, 0, 0, 2]
    assert [one[0] for one in await hours(rollups, first=23, end=26)] == [23, 24, 25]


async def test_a_clock_that_ran_ahead_does_no_harm(store: Store, rollups: RollUps) -> None:
    """Hours that were taken for ended too early are computed anew with what came later."""
    await store.append([at(0.25, "1")])
    await rollups.update(T_US + DAY_US * 300)
    await store.append([at(0.5, "3"), at(1.5, "5")])
    await rollups.update(T_US + DAY_US)

    assert (await hours(rollups, end=2)) == [(0, 2, pytest.approx(7 / 3), 2.0, "3"), (1, 1, 4.0, 2.0, "5")]


async def test_times_that_make_no_sense_are_left_out(store: Store, rollups: RollUps) -> None:
    """Events before 1970 or after 2100 have no roll-up, hold nothing up, and go when they are old."""
    await store.append([at(0, "1", time_us=-5), at(0, "2", time_us=2**62), at(0.5, "3"), at(0, "4", time_us=1)])

    assert await rollups.update(T_US + DAY_US) == 4
    assert [row[0] for row in raw(store.path, "SELECT events FROM rollups")] == [1, 1, 1, 1]
    report = await Retention(store, rollups).run(2**62, RetentionPolicy(), {})
    assert report.purged == 3


async def test_a_quiet_update_writes_nothing_but_its_time(store: Store, rollups: RollUps) -> None:
    """No new event: no bucket is marked, computed or written, and silent hours are answered up to now."""
    await store.append([at(0.5, "1")])
    await rollups.update(T_US + 2 * HOUR_US)
    before = raw(store.path, "SELECT * FROM rollups UNION SELECT *, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 FROM rollup_due")

    assert await rollups.update(T_US + 6 * HOUR_US) == 0

    assert before == raw(
        store.path, "SELECT * FROM rollups UNION SELECT *, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 FROM rollup_due"
    )
    assert [one[0] for one in await hours(rollups)] == [0, 1, 2, 3, 4, 5]


async def test_two_updates_at_once_are_one_after_the_other(store: Store, rollups: RollUps) -> None:
    """The nightly run and the one of every ten minutes do not get into each other's way."""
    await store.append(mixed(300))

    written = await asyncio.gather(*(rollups.update(T_US + 3 * DAY_US) for _ in range(3)))

    assert sorted(written)[:2] == [0, 0]
    assert sum(written) == len(raw(store.path, ROLLUPS))


async def test_a_purged_entity_leaves_no_roll_up(store: Store, rollups: RollUps) -> None:
    """Its roll-ups and marks go, and other entities' roll-ups do not name it any more."""
    await store.append(
        [
            at(0.5, "on", "light.secret"),
            at(0.5, "light.secret"),
            at(2.5, "at light.secret"),
            at(30, "on", "light.secret"),
        ]
    )
    await rollups.update(T_US + 26 * HOUR_US)

    await store.purge_entity("light.secret")

    assert raw(
        store.path, "SELECT n.key, span, COUNT(*) FROM rollups JOIN entities n ON n.id = entity GROUP BY 1, 2"
    ) == [
        ("sensor.a", 0, 2),
        ("sensor.a", 1, 1),
    ]
    assert raw(store.path, "SELECT COUNT(*) FROM rollup_due") == [(0,)]
    assert [one[4] for one in await hours(rollups, end=3)] == ["**PURGED**", "**PURGED**", "at **PURGED**"]


async def test_an_entity_that_is_purged_meanwhile_does_not_come_back(
    store: Store, rollups: RollUps, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was computed from events that are gone is thrown away, and the update begins anew."""
    await store.append([at(0.5, "on", "light.secret"), at(0.5, "light.secret")])
    read = _rollup.read_in_thread
    waiting = [True]

    async def read_and_purge(of: Store, work: object) -> object:
        found = await read(of, work)
        while isinstance(found, list) and any(isinstance(one, _rollup.Step) for one in found) and waiting:
            waiting.clear()
            await store.purge_entity("light.secret")
        return found

    monkeypatch.setattr(_rollup, "read_in_thread", read_and_purge)
    written = await rollups.update(T_US + DAY_US)

    assert (written, waiting) == (2, [])
    (key,) = raw(store.path, "SELECT DISTINCT n.key FROM rollups LEFT JOIN entities n ON n.id = entity")
    assert key == ("sensor.a",)
    assert b"light.secret" not in b"".join(str(row).encode() for row in raw(store.path, ROLLUPS))


async def test_a_store_that_is_never_left_alone_is_told(
    store: Store, rollups: RollUps, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An update that is disturbed again and again gives up with a reason instead of going on for ever."""
    await store.append([at(0.5, "on")])
    read = _rollup.read_in_thread

    async def read_and_disturb(of: Store, work: object) -> object:
        raw(store.path, "DELETE FROM meta WHERE name = 'rollup_token'")
        return await read(of, work)

    monkeypatch.setattr(_rollup, "read_in_thread", read_and_disturb)
    with pytest.raises(StoreError) as told:
        await rollups.update(T_US + DAY_US)

    assert told.value.placeholders["reason"] == "locked"


async def test_a_cancelled_update_is_taken_up_again(store: Store, rollups: RollUps) -> None:
    """Cancelled at any moment it leaves nothing half done and no lock held."""
    await store.append(mixed(2000))
    for pause in range(30):
        task = asyncio.ensure_future(rollups.update(T_US + 3 * DAY_US))
        await asyncio.sleep(pause / 1000)
        task.cancel()
        await asyncio.wait((task,))
    await rollups.update(T_US + 3 * DAY_US)

    found = await all_rollups(rollups, T_US, T_US + 3 * DAY_US)
    assert plainly(found) == approximately(brute(mixed(2000), UTC, T_US + 3 * DAY_US))


async def test_a_long_day_is_read_in_pages_and_chunks(
    store: Store, rollups: RollUps, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More rows in a bucket than a page holds, more in an entity than a chunk, several in one microsecond."""
    monkeypatch.setattr(_rollup_compute, "_PAGE", 16)
    monkeypatch.setattr(_rollup_compute, "_CHUNK_ROWS", 50)
    kept = [at(number // 3 / 20, str(number % 17)) for number in range(900)]
    await store.append(kept)

    await rollups.update(T_US + 2 * DAY_US)

    found = await all_rollups(rollups, T_US, T_US + 2 * DAY_US)
    assert plainly(found) == approximately(brute(kept, UTC, T_US + 2 * DAY_US))


def test_steps_grow_while_they_are_quick_and_shrink_when_they_are_not() -> None:
    """A slow disk gets small steps, a quick one the largest."""
    pace = Pace(1000)
    sizes = [pace.rows]
    for seconds in (0.001, 0.001, 0.001, 0.010, 0.030, 0.5, 0.5, 0.5, 0.5, 0.5, 0.001):
        pace.note(seconds)
        sizes.append(pace.rows)

    assert sizes == [250, 500, 1000, 1000, 1000, 500, 250, 125, 62, 50, 50, 100]
