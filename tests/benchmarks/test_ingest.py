"""The bench of taking events in: it runs, keeps every event and says what its documentation says."""

import json
from pathlib import Path
import subprocess
import sys

import pytest

_ROOT = Path(__file__).parents[2]
_GOALS = {
    "loop_ratio",
    "loop_wall_ratio",
    "durable_events_per_s",
    "durable_ratio",
    "lag_p99_added_ms",
    "bytes_ratio",
    "start_s",
    "heavy_modules",
}


def _bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(_ROOT / "script" / "_bench" / "main.py"), *arguments],
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )


@pytest.mark.slow
def test_a_quick_run_ends_with_a_json_line_that_holds_every_figure_and_goal() -> None:
    done = _bench("ingest", "--quick", "--json")

    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout.splitlines()[-1])
    assert set(answer["goals"]) == _GOALS
    assert {key for item in answer["goals"].values() for key in item} == {"value", "goal", "met"}
    assert answer["loop_us"].keys() == {"bare", "recorder", "homeiq", "added"}
    assert answer["lag_ms"].keys() == {"bare", "recorder", "homeiq"}
    assert answer["durable_events_per_s"].keys() == {"recorder", "homeiq"}
    assert answer["bytes_per_event"]["homeiq"] > 0
    assert answer["start"]["heavy"] == []


def test_the_help_names_every_key_of_the_goals() -> None:
    done = _bench("--help")

    assert done.returncode == 0
    assert all(name in done.stdout for name in _GOALS)


@pytest.mark.parametrize("arguments", [(), ("nothing",), ("ingest", "--repeat", "0"), ("ingest", "--repeat", "many")])
def test_wrong_usage_ends_with_2(arguments: tuple[str, ...]) -> None:
    assert _bench(*arguments).returncode == 2
