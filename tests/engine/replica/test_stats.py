"""Points per second are those of the last minute."""

import pytest

from homeiq_engine.replica._stats import Rate


@pytest.mark.parametrize(
    ("adds", "now", "rate"),
    [
        ([], 5.0, 0.0),
        ([(0.0, 50)], 0.0, 50.0),
        ([(0.0, 50), (10.0, 50)], 10.0, 10.0),
        ([(0.0, 50), (10.0, 50)], 30.0, 100 / 30),
        ([(0.0, 600), (30.0, 60)], 70.0, 1.0),
        ([(0.0, 600)], 60.0, 0.0),
        ([(0.0, 600), (100.0, 60)], 100.0, 1.0),
    ],
)
def test_a_rate_is_the_mean_of_the_last_minute(adds: list[tuple[float, int]], now: float, rate: float) -> None:
    """Since the first point if that is less, over one second at least; what is older is forgotten."""
    measured = Rate()
    for moment, points in adds:
        measured.add(points, moment)

    assert measured.per_second(now) == pytest.approx(rate)
