"""Roll-ups say of every hour and local day what its events come to, however and whenever those were stored."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import given, settings
import pytest

from homeiq_engine.model import Event, QueryError, RollUp, RollUpQuery, Span
from homeiq_engine.store import RollUps, Store
from tests.engine.store.rollup_samples import DAY_US, HOUR_US, all_rollups, approximately, brute, homes, plainly, us
from tests.engine.store.samples import ManualClock, event, raw

BERLIN = ZoneInfo("Europe/Berlin")
T_US = us("2026-06-10 00:00", "Europe/Berlin")


@pytest.fixture
def rollups(store: Store) -> RollUps:
    """Return the store's roll-ups in Berlin."""
    return RollUps(store, lambda: BERLIN)


@given(home=homes())
@settings(max_examples=40, deadline=None)
async def test_roll_ups_equal_brute_force(home: tuple[ZoneInfo, int, list[list[Event]]]) -> None:
    """Gaps, late events, removed entities and days of 23 to 25 hours: updates between batches end at what raw says."""
    await _check(home)


@pytest.mark.slow
@given(home=homes())
@settings(max_examples=400, deadline=None)
async def test_roll_ups_of_many_homes_equal_brute_force(home: tuple[ZoneInfo, int, list[list[Event]]]) -> None:
    """The same, for longer."""
    await _check(home)


async def _check(home: tuple[ZoneInfo, int, list[list[Event]]]) -> None:
    zone, start_us, batches = home
    with TemporaryDirectory() as folder:
        path = Path(folder) / "homeiq.db"
        store = Store(path, ManualClock())
        rollups = RollUps(store, lambda: zone)
        for number, batch in enumerate(batches):
            await store.append(batch)
            await rollups.update(start_us + (number + 1) * DAY_US + HOUR_US // 2)
        until_us = start_us + 5 * DAY_US
        await rollups.update(until_us)
        found = await all_rollups(rollups, start_us - 2 * DAY_US, until_us)
        incremental = raw(path, "SELECT * FROM rollups")

        raw(path, "DELETE FROM rollups")
        raw(path, "DELETE FROM meta WHERE name = 'rollup_cursor'")
        written = await rollups.update(until_us)
        again = await rollups.update(until_us)
        await store.close()

        assert raw(path, "SELECT * FROM rollups") == incremental
        assert (written, again) == (len(incremental), 0)
    expected = brute([one for batch in batches for one in batch], zone, until_us)
    assert plainly(found) == approximately(expected)


def at(hour: float, state: str | None, entity_id: str = "sensor.a", **fields: Any) -> Event:
    """Return a change of state so many hours after the test's midnight."""
    given = {"time_us": T_US + round(hour * HOUR_US), "state": state, "entity_id": entity_id, "old_state": "?"}
    return event(**(given | fields))


def between(start: float, end: float, *entity_ids: str, span: Span = Span.HOUR, limit: int = 1000) -> RollUpQuery:
    """Ask for the roll-ups of some hours after the test's midnight; of all entities if none is named."""
    return RollUpQuery(
        entity_ids=entity_ids or None,
        start_us=T_US + round(start * HOUR_US),
        end_us=T_US + round(end * HOUR_US),
        span=span,
        limit=limit,
    )


async def test_a_light_is_summed_up(store: Store, rollups: RollUps) -> None:
    """How often it changed and how long it was on, off and away, with what went on from the hour before."""
    await store.append(
        [
            at(0.25, "off", "light.a", old_state=None),
            at(0.5, "on", "light.a", old_state="off"),
            at(1.25, "on", "light.a", old_state="on"),
            at(1.5, "unavailable", "light.a", old_state="on"),
            at(1.75, "off", "light.a", old_state="unavailable"),
        ]
    )
    await rollups.update(T_US + DAY_US)

    _, second, third = await rollups.query(between(0, 3, "light.a"))
    (day,) = await rollups.query(between(0, 24, "light.a", span=Span.DAY))

    assert second == RollUp(
        entity_id="light.a",
        span=Span.HOUR,
        start_us=T_US + HOUR_US,
        end_us=T_US + 2 * HOUR_US,
        events=3,
        changes=2,
        low=None,
        high=None,
        mean=None,
        last=None,
        rise=None,
        states={"on": 1800.0, "unavailable": 900.0, "off": 900.0},
        state="off",
    )
    assert (third.events, third.changes, third.states, third.state) == (0, 0, {"off": 3600.0}, "off")
    assert (day.events, day.changes) == (5, 4)
    assert day.states == {"off": 900.0 + 900 + 22 * 3600, "on": 3600.0, "unavailable": 900.0}


async def test_a_meter_counts_over_resets_and_dips(store: Store, rollups: RollUps) -> None:
    """A reset counts from zero, a dip and the way back from it count nothing, an outage is bridged."""
    states = ["100", "110", "109.9", "110", "112", "unavailable", "115", "3", "unknown", "5", "4.4", "6", "0", "0", "2"]
    await store.append([at(number * 0.4, state) for number, state in enumerate(states)])
    await rollups.update(T_US + DAY_US)

    (day,) = await rollups.query(between(0, 24, span=Span.DAY))
    hours = await rollups.query(between(0, 6))

    # 15 to the reset, 3 and 2 after it; 4.4 is a reset of 5, 1.6 more; 0 is one again, and 2.
    assert day.rise == pytest.approx(15 + 3 + 2 + 4.4 + 1.6 + 0 + 2)
    assert sum(one.rise or 0 for one in hours) == pytest.approx(day.rise)
    assert (day.low, day.high, day.last) == (0.0, 115.0, 2.0)


async def test_a_removed_entity_has_no_silent_hours(store: Store, rollups: RollUps) -> None:
    """After its removal nothing goes on, until it comes back."""
    await store.append([at(0.5, "on"), at(2.5, None), at(5.5, "on")])
    await rollups.update(T_US + 8 * HOUR_US)

    found = [((one.start_us - T_US) // HOUR_US, one.states, one.state) for one in await rollups.query(between(0, 24))]

    assert found == [
        (0, {"on": 1800.0}, "on"),
        (1, {"on": 3600.0}, "on"),
        (2, {"on": 1800.0}, None),
        (5, {"on": 1800.0}, "on"),
        (6, {"on": 3600.0}, "on"),
        (7, {"on": 3600.0}, "on"),
    ]


async def test_a_queries_range_and_limit_hold(store: Store, rollups: RollUps) -> None:
    """Roll-ups that start in the range, entity by entity as asked, no more than asked for; unknown entities have none."""
    await store.append([at(0.5, "1", "sensor.b"), at(1.5, "2", "sensor.a"), at(1.6, "3", "sensor.a")])
    await rollups.update(T_US + 4 * HOUR_US)

    def short(found: Any) -> list[tuple[str, int]]:
        return [(one.entity_id, (one.start_us - T_US) // HOUR_US) for one in found]

    assert short(await rollups.query(between(1, 3))) == [
        ("sensor.a", 1),
        ("sensor.a", 2),
        ("sensor.b", 1),
        ("sensor.b", 2),
    ]
    assert short(await rollups.query(between(1, 3, limit=3))) == [("sensor.a", 1), ("sensor.a", 2), ("sensor.b", 1)]
    assert short(await rollups.query(between(0.5, 2.5, "sensor.b", "x.y", "sensor.a", "sensor.b"))) == [
        ("sensor.b", 1),
        ("sensor.b", 2),
        ("sensor.a", 1),
        ("sensor.a", 2),
    ]
    assert short(await rollups.query(between(3, 300))) == [("sensor.a", 3), ("sensor.b", 3)]
    assert await rollups.query(between(4, 300)) == []
    assert await rollups.query(between(-9, 0)) == []


async def test_nothing_is_answered_before_the_first_update(store: Store, rollups: RollUps) -> None:
    """Events alone are no roll-ups."""
    await store.append([at(0.5, "1")])

    assert await rollups.query(between(0, 24)) == []


@pytest.mark.parametrize(
    ("field", "value", "query"),
    [
        ("limit", "0", between(0, 1, limit=0)),
        ("limit", "10001", between(0, 1, limit=10_001)),
        ("start", "-1", RollUpQuery(entity_ids=None, start_us=-1, end_us=5, span=Span.DAY)),
        ("end", str(2**62), RollUpQuery(entity_ids=None, start_us=0, end_us=2**62, span=Span.DAY)),
        ("end", str(T_US), between(0, 0)),
    ],
)
async def test_a_query_that_does_not_fit_is_refused(
    rollups: RollUps, field: str, value: str, query: RollUpQuery
) -> None:
    """Field and value are named."""
    with pytest.raises(QueryError) as refused:
        await rollups.query(query)

    assert refused.value.placeholders == {"field": field, "value": value}


async def test_only_the_longest_states_are_told(store: Store, rollups: RollUps) -> None:
    """A sensor of free text does not fill the store: the sixteen texts that were longest in force are kept."""
    await store.append([at(number / 60 + number**2 / 10_000_000, f"text {chr(97 + number)}") for number in range(26)])
    await rollups.update(T_US + HOUR_US)

    (hour,) = await rollups.query(between(0, 1))

    assert list(hour.states)[:3] == ["text z", "text y", "text x"]
    assert len(hour.states) == 16


async def test_a_home_that_moves_has_days_of_both_zones(store: Store) -> None:
    """Days before the move stay as they were lived; the day of the move ends at the new zone's first midnight."""
    zone = [BERLIN]
    rollups = RollUps(store, lambda: zone[0])
    await store.append([at(hour, str(hour)) for hour in range(-48, 12)])
    await rollups.update(T_US + 12 * HOUR_US)
    zone[0] = ZoneInfo("America/New_York")
    await rollups.update(T_US + 13 * HOUR_US)
    await store.append([at(hour, str(hour)) for hour in (-30, *range(12, 80))])
    await rollups.update(T_US + 80 * HOUR_US)

    found = await rollups.query(between(-72, 96, span=Span.DAY))

    # Midnight in New York is six in the morning in Berlin.
    assert [((one.start_us - T_US) // HOUR_US, (one.end_us - T_US) // HOUR_US, one.events) for one in found] == [
        (-48, -24, 25),
        (-24, 0, 24),
        (0, 24, 24),
        (24, 30, 6),
        (30, 54, 24),
        (54, 78, 24),
    ]
