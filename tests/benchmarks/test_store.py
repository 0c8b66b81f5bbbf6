"""The bench of a large store: it runs, asks every question and says what its documentation says."""

import pytest

from tests.benchmarks.running import quick_answer, run_bench

_GOALS = {"lookup_p95_ms", "entity_last_day_p95_ms", "page_p95_ms", "day_of_all_p95_ms", "append_max_ms", "restore_s"}


@pytest.mark.slow
def test_a_quick_run_answers_every_question_of_a_store_of_some_days() -> None:
    answer = quick_answer("store")

    assert set(answer["goals"]) == _GOALS
    assert answer["events"] >= 300_000
    assert answer["queries"]["page_all"]["rows"] == 1_000
    assert answer["queries"]["page_origin_never"]["rows"] == 0
    assert answer["queries"]["day_of_all"]["rows"] > 80_000
    assert answer["purge"]["events"] > 40_000
    assert answer["restore"]["events"] > 200_000
    assert answer["roll_ups"]["events"] == 90_000


def test_the_help_names_every_key_of_the_stores_goals() -> None:
    done = run_bench("--help")

    assert all(name in done.stdout for name in _GOALS)
