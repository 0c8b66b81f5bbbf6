"""Times of day have no first and no last minute."""

from hypothesis import given, strategies as st
import numpy as np
import pytest

from homeiq_engine.mining._circular import density, distance, mean_and_spread, peaks, quantile, signed_offset

times = st.floats(0, 1440, exclude_max=True)


@given(times, st.lists(st.floats(-300, 300), min_size=1, max_size=30))
def test_the_mean_of_times_around_a_centre_turns_with_the_centre(centre: float, offsets: list[float]) -> None:
    mean, spread = mean_and_spread(np.array(offsets) % 1440)
    turned, same = mean_and_spread((np.array(offsets) + centre) % 1440)
    assert distance(turned, mean + centre) < 1e-3
    assert same == pytest.approx(spread, abs=1e-3)
    assert 0 <= turned < 1440


@given(times, times)
def test_two_times_lie_at_most_half_a_day_apart_whichever_way(one: float, other: float) -> None:
    assert 0 <= distance(one, other) <= 720
    assert distance(one, other) == pytest.approx(distance(other, one))
    assert abs(signed_offset(np.array([one]), other)[0]) == pytest.approx(distance(one, other), abs=1e-6)


def test_the_mean_around_midnight_is_midnight() -> None:
    mean, spread = mean_and_spread(np.array([1430.0, 10.0]))
    assert distance(mean, 0) < 1e-6
    assert spread == pytest.approx(10, abs=0.01)


def test_equal_times_have_no_spread() -> None:
    assert mean_and_spread(np.array([420.0] * 5)) == pytest.approx((420, 0))


@pytest.mark.parametrize("minutes", [[], [0.0, 720.0]])
def test_no_times_and_opposite_times_have_no_mean(minutes: list[float]) -> None:
    with pytest.raises(ValueError, match="no "):
        mean_and_spread(np.array(minutes))


def test_the_density_peaks_where_the_times_are_also_over_midnight() -> None:
    curve = density(np.array([1438.0, 2.0, 1439.0, 1.0, 600.0]), 12)
    assert peaks(curve, 30, 5) == [0, 600]


def test_of_near_peaks_only_the_higher_one_counts_and_no_more_than_asked_for() -> None:
    curve = density(np.array([400.0] * 3 + [440.0] * 2 + [800.0, 1000.0]), 5)
    assert peaks(curve, 60, 2) == [400, 800]


@given(st.lists(st.floats(-1000, 1000), min_size=1, max_size=50), st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]))
def test_quantiles_are_numpy_s(values: list[float], share: float) -> None:
    assert quantile(np.sort(values), share) == pytest.approx(np.quantile(values, share), abs=1e-9)
