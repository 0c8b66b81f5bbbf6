"""The figures are right, to the rank and to the second."""

import pytest

from homeiq_engine.pipeline._metrics import Metrics
from tests.engine.store.samples import T0_US, event, events


def test_nothing_measured_is_none() -> None:
    """Before the first commit there is no latency, gap or quiet time, and nothing was counted."""
    metrics = Metrics()

    assert (metrics.write_p95_ms(), metrics.usual_gap_s(), metrics.quiet_s(5), metrics.noisiest()) == (None,) * 4
    assert (metrics.per_minute(5), metrics.today(), metrics.last_commit) == (0, 0, None)


@pytest.mark.parametrize(
    ("count", "rank"), [(1, 1), (2, 2), (19, 19), (20, 19), (21, 20), (100, 95), (256, 244), (300, 288)]
)
def test_p95_is_the_nearest_rank_of_the_last_256(count: int, rank: int) -> None:
    """Of latencies 1, 2, … ms the 95th percentile is the value at rank ceil(0.95 n) of those remembered."""
    metrics = Metrics()
    for number in range(1, count + 1):
        metrics.committed(number, number / 1000, (), 0)

    assert metrics.write_p95_ms() == pytest.approx(rank)


def test_p95_does_not_depend_on_the_order() -> None:
    """Latencies are sorted before they are ranked."""
    metrics = Metrics()
    for took in (9, 1, 8, 2, 7, 3):
        metrics.committed(0, took / 1000, (), 0)

    assert metrics.write_p95_ms() == pytest.approx(9)


def test_events_per_minute_are_those_of_the_last_sixty_seconds() -> None:
    """A commit counts for sixty seconds, to the second, and then no more."""
    metrics = Metrics()
    metrics.committed(100, 0.1, events(7), 7)
    metrics.committed(130, 0.1, events(5), 5)

    assert [metrics.per_minute(now) for now in (130, 160, 160.5, 190, 190.5)] == [12, 12, 5, 5, 0]


def test_commits_that_nobody_asks_about_take_no_memory() -> None:
    """Only the last minute is remembered, also when the figure is never read."""
    metrics = Metrics()
    for second in range(10_000):
        metrics.committed(second, 0.1, (), 1)

    assert len(metrics._stored) <= 62


def test_gaps_are_between_commits_with_events() -> None:
    """Commits of counters alone are no sign of life; the usual gap is the 95th percentile."""
    metrics = Metrics()
    for now, stored in ((0, 1), (10, 0), (20, 1), (25, 1), (26, 0)):
        metrics.committed(now, 0.1, (), stored)

    assert (metrics.usual_gap_s(), metrics.quiet_s(30), metrics.last_commit) == (20, 5, 26)


def test_the_day_is_counted_by_entity() -> None:
    """Events of before the day count nowhere; the noisiest is an entity even if nameless events are more."""
    metrics = Metrics()
    metrics.begin_day(T0_US, {"a.a": 3, None: 50})
    metrics.committed(0, 0.1, [event(0, entity_id="a.b"), event(-1, entity_id="a.b"), event(1, entity_id=None)], 3)
    metrics.committed(0, 0.1, [event(number, entity_id="a.b") for number in range(3)], 3)

    assert (metrics.today(), metrics.noisiest()) == (58, ("a.b", 4))


def test_a_new_day_begins_anew() -> None:
    """What was counted yesterday is gone."""
    metrics = Metrics()
    metrics.committed(0, 0.1, events(5), 5)
    metrics.begin_day(T0_US + 10**9, {})

    assert (metrics.today(), metrics.noisiest()) == (0, None)
