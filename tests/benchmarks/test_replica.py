"""The bench of the replica: it runs both integrations against a real server and says what its documentation says."""

import pytest

from tests.benchmarks.running import quick_answer, run_bench

_GOALS = {"points_per_s", "core_ratio", "outage_s", "lost", "duplicates", "dead_letters_wrong"}


@pytest.mark.slow
@pytest.mark.server
def test_a_quick_run_drains_both_integrations_and_loses_nothing_in_an_outage() -> None:
    pytest.importorskip("influxdb", reason="Home Assistant's influxdb integration needs it; script/setup brings it")
    answer = quick_answer("replica")

    assert set(answer["goals"]) == _GOALS
    assert answer["points_per_s"].keys() == {"homeiq", "homeiq_core_layout", "core_v1", "core_v2", "core"}
    assert answer["points_per_s"]["homeiq"] > answer["points_per_s"]["core"]
    assert (answer["lost"], answer["duplicates"], answer["dead_letters_wrong"]) == (0, 0, 0)
    assert answer["dead_letters"] > 0
    assert answer["waiting"] > 0
    assert answer["core_outage"]["lost"] > 0


def test_the_help_names_every_key_of_the_replicas_goals() -> None:
    done = run_bench("--help")

    assert all(name in done.stdout for name in _GOALS)
