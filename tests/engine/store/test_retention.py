"""Retention lets go of what is old, only after it was rolled up, and not before every follower has it, up to the cap."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from zoneinfo import ZoneInfo

import aiosqlite
import pytest

from homeiq_engine.model import Event, RollUpQuery, Span, StoreError
from homeiq_engine.store import Retention, RetentionPolicy, RollUps, Store, _pace, _purging, _retention, default_cap
from tests.engine.store.interrupting import Interrupter
from tests.engine.store.rollup_samples import DAY_US, HOUR_US, us
from tests.engine.store.samples import ManualClock, all_events, event, raw

BERLIN = ZoneInfo("Europe/Berlin")
NOON_US = us("2026-06-20 12:00", "Europe/Berlin")
ALL = RetentionPolicy(raw_days=10_000)
GIB = 1 << 30


@pytest.fixture
def rollups(store: Store) -> RollUps:
    """Return the store's roll-ups in Berlin."""
    return RollUps(store, lambda: BERLIN)


@pytest.fixture
def retention(store: Store, rollups: RollUps) -> Retention:
    """Return the store's retention."""
    return Retention(store, rollups)


def days(count: int, per_day: int, first_us: int = NOON_US - 40 * DAY_US, width: int = 40) -> list[Event]:
    """Return events of several days, some entities, spread over each day."""
    return [
        event(
            entity_id=f"sensor.s{number % 5}",
            time_us=first_us + day * DAY_US + number * (DAY_US // per_day),
            state=f"{number}.{day}",
            payload=f'{{"n":"{day:04d}{number:04d}{"x" * width}"}}',
        )
        for day in range(count)
        for number in range(per_day)
    ]


async def test_raw_goes_by_whole_local_days_and_stays_rolled_up(
    store: Store, rollups: RollUps, retention: Retention
) -> None:
    """What is older than the local day that lies raw_days back is deleted, counted, and still there by the day."""
    kept = days(40, 24)
    await store.append(kept)

    report = await retention.run(NOON_US, RetentionPolicy(raw_days=10), {})

    cut_us = us("2026-06-10 00:00", "Europe/Berlin")
    left = await all_events(store)
    assert report.purged == sum(one.time_us < cut_us for one in kept)
    assert [one.time_us for one in left] == [one.time_us for one in kept if one.time_us >= cut_us]
    assert (await store.stats()).counters == {"stored": 960, "purged": report.purged}
    found = await rollups.query(
        RollUpQuery(entity_ids=None, start_us=NOON_US - 60 * DAY_US, end_us=NOON_US, span=Span.DAY)
    )
    assert sum(one.events for one in found) == len([one for one in kept if one.time_us < NOON_US - HOUR_US * 12])
    assert raw(store.path, "SELECT COUNT(*) FROM payloads") == [(len(left),)]


async def test_nothing_goes_that_is_not_rolled_up(
    store: Store, rollups: RollUps, retention: Retention, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Old events that were stored after the roll-up, and those of buckets that are due, stay for the next time."""
    await store.append(days(3, 10))
    update = rollups.update

    async def update_and_store(now_us: int) -> int:
        written = await update(now_us)
        await store.append([event(entity_id="sensor.new", time_us=NOON_US - 39 * DAY_US)])
        (entity,) = raw(store.path, "SELECT id FROM entities WHERE key = 'sensor.s1'")
        raw(
            store.path,
            "INSERT INTO rollup_due SELECT entity, span, start, until FROM rollups WHERE span = 1 AND entity = ?"
            " ORDER BY start LIMIT 1",
            entity,
        )
        return written

    monkeypatch.setattr(rollups, "update", update_and_store)
    report = await retention.run(NOON_US, RetentionPolicy(raw_days=1), {})

    left = await all_events(store)
    assert {one.entity_id for one in left} == {"sensor.new", "sensor.s1"}
    assert report.purged == 31 - len(left)
    (until,) = raw(store.path, "SELECT until + 1861920000000000 FROM rollup_due")[0]
    assert all(one.time_us < until for one in left if one.entity_id == "sensor.s1")

    monkeypatch.undo()
    await retention.run(NOON_US, RetentionPolicy(raw_days=1), {})
    assert await all_events(store) == []


async def test_followers_hold_back_what_they_have_not_acknowledged(store: Store, retention: Retention) -> None:
    """The slowest follower decides, it is named, and what it acknowledges later goes later."""
    await store.append(days(20, 10))

    first = await retention.run(NOON_US, RetentionPolicy(raw_days=1), {"a": 200, "b": 50})
    left = [one.id for one in await all_events(store)]
    second = await retention.run(NOON_US, RetentionPolicy(raw_days=1), {"a": 200, "b": 200})

    assert (first.purged, first.held_back_by, first.unreplicated) == (50, ("b",), {})
    assert left == list(range(51, 201))
    assert (second.purged, second.held_back_by) == (150, ())
    assert "unreplicated" not in (await store.stats()).counters


async def test_past_the_cap_the_oldest_go_and_are_counted_exactly(store: Store, retention: Retention) -> None:
    """Followers do not fill the disk: what each had not acknowledged is counted for the run and for good."""
    await store.append(days(20, 600, width=400))
    policy = RetentionPolicy(raw_days=90, max_bytes=4_000_000)

    report = await retention.run(NOON_US, policy, {"slow": 700, "gone": 0})

    left = [one.id for one in await all_events(store)]
    gone = 12_000 - len(left)
    assert report.used_bytes <= 4_000_000
    assert left == list(range(gone + 1, 12_001))
    assert 700 < gone == report.purged
    assert report.unreplicated == {"slow": gone - 700, "gone": gone}
    assert not report.over_cap
    counters = (await store.stats()).counters
    assert counters == {
        "stored": 12_000,
        "purged": gone,
        "unreplicated": gone,
        "unreplicated:slow": gone - 700,
        "unreplicated:gone": gone,
    }


async def test_what_was_acknowledged_meanwhile_is_not_counted(store: Store, retention: Retention) -> None:
    """A follower that has come further than the caller knew is believed."""
    await store.append(days(20, 100, width=400))
    raw(store.path, "INSERT INTO cursors VALUES ('a', 2000)")

    report = await retention.run(NOON_US, RetentionPolicy(max_bytes=300_000), {"a": 5})

    assert report.purged > 0
    assert report.unreplicated == {}
    assert "unreplicated" not in (await store.stats()).counters


async def test_today_is_never_deleted(store: Store, retention: Retention) -> None:
    """A cap that nothing can keep is told; the running day, which has no roll-up yet, stays whole."""
    today = days(1, 100, first_us=us("2026-06-20 00:10", "Europe/Berlin"))
    await store.append([*days(3, 100), *today])

    report = await retention.run(NOON_US, RetentionPolicy(max_bytes=1000), {})

    assert (report.purged, report.over_cap, report.near_cap) == (300, True, False)
    assert len(await all_events(store)) == 100


async def test_a_loss_is_told_before_it_happens(store: Store, retention: Retention) -> None:
    """At nine tenths of the cap a follower that lacks the oldest events is named, one that lacks the newest is not."""
    await store.append(days(20, 300, width=400))
    used = (await retention.run(NOON_US, ALL, {})).used_bytes
    roomy = RetentionPolicy(raw_days=10_000, max_bytes=used * 2)
    tight = RetentionPolicy(raw_days=10_000, max_bytes=round(used * 1.05))

    reports = [
        await retention.run(NOON_US, policy, {"a": reached, "b": 6000})
        for policy, reached in ((roomy, 0), (tight, 5000), (tight, 0))
    ]

    assert [(one.near_cap, one.held_back_by, one.over_cap) for one in reports] == [
        (False, (), False),
        (False, (), False),
        (True, ("a",), False),
    ]
    assert len(await all_events(store)) == 6000


async def test_hours_go_after_their_time_and_days_stay(store: Store, rollups: RollUps, retention: Retention) -> None:
    """Hourly roll-ups past their time are deleted, except the last of each entity: its state goes on."""
    await store.append(
        [
            *(
                event(entity_id="light.a", time_us=NOON_US - (100 - number) * DAY_US, state="on")
                for number in range(90)
            ),
            event(entity_id="light.b", time_us=NOON_US - 99 * DAY_US, state="on"),
        ]
    )

    await retention.run(NOON_US, RetentionPolicy(raw_days=5, hour_days=50), {})

    counts = raw(
        store.path, "SELECT n.key, span, COUNT(*) FROM rollups JOIN entities AS n ON n.id = entity GROUP BY 1, 2"
    )
    assert counts == [("light.a", 0, 40 + 1), ("light.a", 1, 90), ("light.b", 0, 1), ("light.b", 1, 1)]
    (silent,) = await rollups.query(
        RollUpQuery(
            entity_ids=("light.b",), start_us=NOON_US - DAY_US, end_us=NOON_US - DAY_US + HOUR_US, span=Span.HOUR
        )
    )
    assert silent.states == {"on": 3600.0}


async def test_people_may_delete_what_followers_hold_back(store: Store, retention: Retention) -> None:
    """Asked for by hand, all finished days before the one around the time go, and what followers lack is counted."""
    await store.append(days(20, 10))

    deleted = await retention.purge_before(NOON_US - 30 * DAY_US, NOON_US, {"a": 40})

    assert deleted == 95
    assert (await store.stats()).counters["unreplicated:a"] == 55


async def test_the_disk_gets_its_pages_back_apart(store: Store, retention: Retention) -> None:
    """A run leaves free pages in the file; giving them back shrinks it by what it says, within the budget."""
    await store.append(days(30, 300, width=600))
    await store.write(_purging.empty_wal)
    report = await retention.run(NOON_US, RetentionPolicy(raw_days=15), {})
    await store.write(_purging.empty_wal)
    before = store.path.stat().st_size

    nothing = await retention.give_back(0)
    given = await retention.give_back(30)
    await store.write(_purging.empty_wal)

    assert report.size_bytes > report.used_bytes
    assert nothing == 0
    assert given == before - store.path.stat().st_size > before / 2
    assert await retention.give_back(30) == 0


async def test_no_step_touches_more_rows_than_may_be(
    store: Store, retention: Retention, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each hold of the writer, in a roll-up and a purge of thousands, changes a bounded number of rows."""
    await store.append(days(30, 400))
    touched: list[int] = []
    write = store.write

    async def counting(work: Callable[[aiosqlite.Connection], Awaitable[object]]) -> object:
        async def step(writer: aiosqlite.Connection) -> object:
            before = writer.total_changes
            try:
                return await work(writer)
            finally:
                touched.append(writer.total_changes - before)

        return await write(step)

    monkeypatch.setattr(store, "write", counting)
    report = await retention.run(NOON_US, RetentionPolicy(raw_days=5, hour_days=10), {})

    assert report.purged > 8000
    assert sum(touched) > 30_000
    # 500 events, or 500 roll-ups and as many marks, and their bookkeeping.
    assert max(touched) <= 1_010


def test_the_default_cap_is_a_tenth_of_what_is_free_but_no_more_than_two_gibibytes() -> None:
    assert [default_cap(free) for free in (0, 5 * GIB, 100 * GIB)] == [0, GIB // 2, 2 * GIB]


@pytest.mark.parametrize("run_after", [True, False])
async def test_broken_off_between_any_two_steps_it_goes_on_with_exact_counts(
    path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, run_after: bool
) -> None:
    """Whichever write is the first that does not come, the next run ends where one alone would, counters included."""
    monkeypatch.setattr(_pace, "_LEAST_ROWS", 60)
    monkeypatch.setattr(_retention, "_STEP_ROWS", 60)
    monkeypatch.setattr(_retention, "_ROUND_ROWS", 100)
    kept = days(12, 40, width=300)

    async def broken_off(after: float) -> tuple[int, object]:
        store = Store(path.with_name(f"{after}.db"), clock)
        await store.append(kept)
        await RollUps(store, lambda: BERLIN).update(NOON_US - int(run_after) * DAY_US)
        interrupter = Interrupter(store, monkeypatch)
        interrupter.left = after
        policy = RetentionPolicy(raw_days=35, hour_days=32, max_bytes=250_000)
        with suppress(StoreError):
            await Retention(store, RollUps(store, lambda: BERLIN)).run(NOON_US, policy, {"a": 450, "b": 50})
        steps = interrupter.let_through
        interrupter.left = float("inf")
        report = await Retention(store, RollUps(store, lambda: BERLIN)).run(NOON_US, policy, {"a": 450, "b": 50})
        found = [one.id for one in await all_events(store)]
        counters = (await store.stats()).counters
        tables = [raw(store.path, f"SELECT COUNT(*) FROM {table}") for table in ("rollups", "payloads", "rollup_due")]
        await store.close()
        assert counters["purged"] == 480 - len(found)
        assert counters["unreplicated:b"] == max(0, 480 - len(found) - 50) == counters["unreplicated"]
        assert report.used_bytes <= 250_000
        return steps, (tables[0], tables[2], tables[1][0][0] - len(found))

    steps, alone = await broken_off(float("inf"))
    assert steps > 8
    assert [await broken_off(number) for number in range(steps)] == [(number, alone) for number in range(steps)]


async def _live(store: Store, count: int, per_day: int) -> None:
    """Live for some days: events all day, roll-ups and retention every night; then look whether all adds up."""
    rollups = RollUps(store, lambda: BERLIN)
    retention = Retention(store, rollups)
    policy = RetentionPolicy(raw_days=count // 8, hour_days=count // 5)
    begin_us = us("2026-01-10 03:00", "UTC")
    used: list[int] = []
    purged = 0
    for day in range(count):
        today = days(1, per_day, first_us=begin_us + day * DAY_US)
        await store.append(today)
        await rollups.update(begin_us + day * DAY_US + DAY_US // 2)
        report = await retention.run(begin_us + (day + 1) * DAY_US, policy, {"a": (day + 1) * per_day})
        await retention.give_back(5)
        used.append(report.used_bytes)
        purged += report.purged
    end_us = begin_us + count * DAY_US
    await rollups.update(end_us + DAY_US)
    stored = await rollups.query(
        RollUpQuery(entity_ids=None, start_us=begin_us - DAY_US, end_us=end_us, span=Span.DAY, limit=10_000)
    )
    held = await all_events(store)
    hours = raw(store.path, "SELECT MIN(start) + 1861920000000000, SUM(events) FROM rollups WHERE span = 0")

    assert sum(one.events for one in stored) == count * per_day
    assert sum(one.changes for one in stored) == count * per_day
    assert len(held) + purged == count * per_day
    assert (await store.stats()).counters == {"stored": count * per_day, "purged": purged}
    assert all(end_us - one.time_us < (count // 8 + 1) * DAY_US for one in held)
    assert hours[0][0] > end_us - (count // 5 + 2) * DAY_US
    assert hours[0][1] == pytest.approx(per_day * (count // 5), abs=2 * per_day)
    # Once hours begin to go only daily roll-ups grow: five entities, a hundred bytes each a day.
    settled = used[count // 5 + 3 :]
    assert max(settled) < settled[0] + len(settled) * 5 * 120 + 150_000
    assert store.path.stat().st_size < max(settled) * 2


async def test_a_month_of_nights_keeps_size_and_counts(store: Store) -> None:
    """Forty simulated days: raw, hours and size stay within bounds, and every event is counted once."""
    await _live(store, 40, 200)


@pytest.mark.slow
async def test_four_hundred_nights_keep_size_and_counts(store: Store) -> None:
    """Four hundred simulated days, both changes of the clocks among them."""
    await _live(store, 400, 500)
