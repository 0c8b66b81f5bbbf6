"""Chance is reckoned as the textbooks do."""

from fractions import Fraction
from math import comb
from random import Random

from hypothesis import given, strategies as st
import pytest

from homeiq_engine.mining._significance import benjamini_hochberg, binomial_tail, wilson


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_gives_the_published_intervals(successes: int, trials: int, low: float, high: float) -> None:
    """Newcombe (1998), Two-sided confidence intervals for the single proportion, Stat. Med. 17, table I, method 3."""
    assert wilson(successes, trials) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_holds_the_share_between_nought_and_one(counts: tuple[int, int]) -> None:
    low, high = wilson(*counts)
    assert 0 <= low <= counts[0] / counts[1] + 1e-12
    assert counts[0] / counts[1] - 1e-12 <= high <= 1


@pytest.mark.parametrize(("successes", "trials"), [(0, 0), (3, 2), (-1, 4)])
def test_there_is_no_interval_without_a_denominator(successes: int, trials: int) -> None:
    with pytest.raises(ValueError, match="no share"):
        wilson(successes, trials)


@given(st.integers(1, 365), st.data(), st.integers(1, 999))
def test_the_binomial_tail_is_the_exact_sum(trials: int, data: st.DataObject, per_mille: int) -> None:
    successes = data.draw(st.integers(0, trials))
    chance = Fraction(per_mille, 1000)
    exact = sum(comb(trials, k) * chance**k * (1 - chance) ** (trials - k) for k in range(successes, trials + 1))
    assert binomial_tail(successes, trials, float(chance)) == pytest.approx(float(exact), rel=1e-9, abs=1e-300)


@pytest.mark.parametrize("chance", [0.0, 1.0, -0.1])
def test_a_certain_outcome_has_no_tail(chance: float) -> None:
    with pytest.raises(ValueError, match="no chance"):
        binomial_tail(1, 2, chance)


def test_q_values_match_the_example_of_benjamini_and_hochberg() -> None:
    """The fifteen p-values of section 4.1 (1995): four discoveries at 5 %; the q-values are worked by hand."""
    p_values = [
        0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590,
        1.0,
    ]  # fmt: skip
    q_values = benjamini_hochberg(p_values)
    assert q_values[:6] == pytest.approx([0.0015, 0.0030, 0.0095, 0.035625, 0.0603, 0.0298 * 15 / 7])
    assert sum(q <= 0.05 for q in q_values) == 4
    assert q_values[-1] == 1.0


@given(st.lists(st.floats(0, 1), max_size=40), st.randoms())
def test_q_values_do_not_depend_on_the_order_and_never_beat_their_p_values(
    p_values: list[float], random: Random
) -> None:
    order = random.sample(range(len(p_values)), len(p_values))
    q_values = benjamini_hochberg(p_values)
    assert benjamini_hochberg([p_values[i] for i in order]) == pytest.approx([q_values[i] for i in order])
    assert all(q >= p - 1e-12 for p, q in zip(p_values, q_values, strict=True))
