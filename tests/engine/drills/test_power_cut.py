"""A power cut at any moment leaves a store that opens, is sound, and holds the beginning of what was committed."""

from pathlib import Path
import random

import pytest

from homeiq_engine.store import Store
from tests.engine.drills.power_cut import Cut, Writer, cut_power, wait
from tests.engine.store.samples import ManualClock, raw
from tests.engine.store.test_kill import BURST


async def _held(path: Path) -> int:
    """Open a store as a start does and return how many events it holds, which must be the first ones, in order."""
    store = Store(path, ManualClock())
    await store.open()
    assert store.set_aside == ()
    await store.close()
    rows = raw(path, "SELECT id, state FROM events ORDER BY id")
    assert raw(path, "PRAGMA integrity_check") == [("ok",)]
    assert rows == [(number, str(number)) for number in range(1, len(rows) + 1)]
    assert raw(path, "SELECT COALESCE(SUM(value), 0) FROM counters WHERE name = 'stored'") == [(len(rows),)]
    return len(rows)


async def _drill(path: Path, tmp_path: Path, cuts: int) -> list[tuple[Cut, int]]:
    """Cut the power so often under constant writes; return each cut with how many events the store held after it."""
    chance = random.Random(20261124)
    writer = Writer(BURST, str(path))
    try:
        found: list[tuple[Cut, int]] = []
        for number in range(cuts):
            wait(chance, 0.15)
            cut = cut_power(writer, path, tmp_path / f"cut-{number}", chance)
            found.append((cut, await _held(cut.path)))
    finally:
        writer.kill()
    return found


async def test_twelve_power_cuts_leave_sound_stores(path: Path, tmp_path: Path) -> None:
    """Nothing is missing where the log was whole, and no cut takes what an earlier checkpoint had made safe."""
    found = await _drill(path, tmp_path, 12)

    assert all(held >= cut.confirmed for cut, held in found if not cut.lost_bytes)
    assert any(cut.lost_bytes for cut, _ in found)


@pytest.mark.slow
async def test_a_hundred_power_cuts_leave_sound_stores(path: Path, tmp_path: Path) -> None:
    """The same a hundred times; what is lost lies in the log's unsafe end and nowhere else."""
    found = await _drill(path, tmp_path, 100)

    assert len(found) == 100
    assert all(held >= cut.confirmed for cut, held in found if not cut.lost_bytes)
    assert max(held for _, held in found) > 10_000
    assert any(held < cut.confirmed for cut, held in found)
