"""Roll-ups say of every hour and local day what its events come to, however and whenever those were stored."""

from pathlib import Path
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

from hypothesis import given, settings
import pytest

from homeiq_engine.model import Event, RollUp, RollUpQuery, Span
from homeiq_engine.store import RollUps, Store
from tests.engine.store.rollup_samples import DAY_US, HOUR_US, approximately, brute, homes
from tests.engine.store.samples import ManualClock, raw


async def all_rollups(rollups: RollUps, start_us: int, end_us: int) -> list[RollUp]:
    """Return all roll-ups of some entities by entity, then span."""
    found = [
        one
        for span in Span
        for one in await rollups.query(
            RollUpQuery(entity_ids=None, start_us=start_us, end_us=end_us, span=span, limit=10_000)
        )
    ]
    return sorted(found, key=lambda one: (one.entity_id, tuple(Span).index(one.span), one.start_us))


@given(home=homes())
@settings(max_examples=120, deadline=None)
async def test_roll_ups_equal_brute_force(home: tuple[ZoneInfo, int, list[list[Event]]]) -> None:
    """Gaps, late events, removed entities and days of 23 to 25 hours: updates between batches end at what raw says."""
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
    assert approximately(found) == approximately(expected)
