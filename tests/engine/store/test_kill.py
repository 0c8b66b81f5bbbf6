"""A process that is killed in the middle of a burst loses its open batch at most and never harms the store."""

from pathlib import Path
import random
import subprocess
import sys
import time

import pytest

from homeiq_engine.store._times import from_column
from tests.engine.store.samples import raw

BURST = Path(__file__).with_name("burst_process.py")
# A batch is a second old at most; the rest is for the commit under way on a machine that others use too.
_OPEN_BATCH_US = 1_000_000 + 3_000_000


def _run_and_kill(path: Path, after_s: float) -> tuple[int, int]:
    """Let the process store for a while, kill it; return how many events it confirmed and when it was killed (µs)."""
    with subprocess.Popen([sys.executable, str(BURST), str(path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        time.sleep(after_s)
        killed_us = time.time_ns() // 1000
        process.kill()
        confirmed = [int(line) for line in (first, *process.stdout.readlines()) if line.endswith("\n")]
    return confirmed[-1], killed_us


@pytest.mark.slow
def test_kill_in_a_burst_loses_at_most_the_open_batch(path: Path) -> None:
    """Ten times killed at chance moments: all that was confirmed is there, in order, counted, and the file is sound."""
    chance = random.Random(7)
    held = 0
    for _ in range(10):
        confirmed, killed_us = _run_and_kill(path, chance.uniform(0, 1.3))

        stored = raw(path, "SELECT id, state, at FROM events ORDER BY id")

        assert raw(path, "PRAGMA integrity_check") == [("ok",)]
        assert len(stored) >= held + confirmed
        assert [(row[0], row[1]) for row in stored] == [(number, str(number)) for number in range(1, len(stored) + 1)]
        assert raw(path, "SELECT value FROM counters WHERE name = 'stored'") == [(len(stored),)]
        assert killed_us - from_column(stored[-1][2]) < _OPEN_BATCH_US
        held = len(stored)
    assert held > 1000
