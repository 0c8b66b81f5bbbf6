"""The bench of taking events in: it runs, keeps every event and says what its documentation says."""

import pytest

from tests.benchmarks.running import quick_answer, run_bench

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


@pytest.mark.slow
def test_a_quick_run_ends_with_a_json_line_that_holds_every_figure_and_goal() -> None:
    answer = quick_answer("ingest")

    assert set(answer["goals"]) == _GOALS
    assert {key for item in answer["goals"].values() for key in item} == {"value", "goal", "met"}
    assert answer["loop_us"].keys() == {"bare", "recorder", "homeiq", "added"}
    assert answer["lag_ms"].keys() == {"bare", "recorder", "homeiq"}
    assert answer["durable_events_per_s"].keys() == {"recorder", "homeiq"}
    assert answer["bytes_per_event"]["homeiq"] > 0
    assert answer["start"]["heavy"] == []


def test_the_help_names_every_key_of_the_goals() -> None:
    done = run_bench("--help")

    assert done.returncode == 0
    assert all(name in done.stdout for name in _GOALS)


@pytest.mark.parametrize("arguments", [(), ("nothing",), ("ingest", "--repeat", "0"), ("ingest", "--repeat", "many")])
def test_wrong_usage_ends_with_2(arguments: tuple[str, ...]) -> None:
    assert run_bench(*arguments).returncode == 2
