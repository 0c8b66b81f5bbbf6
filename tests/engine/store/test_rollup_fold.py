"""A bucket's figures are right for any meter, and do not depend on where the buckets are cut."""

from itertools import batched, pairwise

from hypothesis import given, strategies as st
import pytest

from homeiq_engine.model import decimal_value
from homeiq_engine.store._rollup_fold import NOTHING, Closing, Fold, Row

METERS = st.lists(
    st.sampled_from(["0", "1", "5", "89", "90", "91", "99", "100", "101", "110", "unavailable"]), max_size=40
)


def _rise(states: list[str]) -> float:
    """Count as a person would: the highest reading since the last reset less the first one, reset by reset."""
    readings = [value for state in states if (value := decimal_value(state)) is not None]
    cuts = [0, *(i for i, (a, b) in enumerate(pairwise(readings), 1) if b < 0.9 * a)]
    parts = [readings[cut:end] for cut, end in zip(cuts, [*cuts[1:], None], strict=True)]
    return sum(max(part) - (part[0] if not number else 0) for number, part in enumerate(parts) if part)


@given(states=METERS, size=st.integers(1, 7))
def test_meters_are_counted_right_wherever_buckets_are_cut(states: list[str], size: int) -> None:
    """Resets and dips, within a bucket and across: the parts add up to what the meter counted."""
    rows: list[Row] = [(number + 1, number, 1, 1, state) for number, state in enumerate(states)]
    closing = NOTHING
    rise = 0.0
    for part in batched(rows, size):
        fold = Fold(part[0][1], part[-1][1] + 1, closing)
        fold.feed(part)
        figures, closing = fold.close()
        rise += figures.rise or 0.0
        assert Closing.from_row(*closing.to_row()) == closing
        assert (figures.events, figures.changes, fold.last_event) == (len(part), len(part), part[-1][0])

    assert rise == pytest.approx(_rise(states))


def test_events_of_one_moment_have_extremes_but_no_mean() -> None:
    """A number that was in force for no time at all is seen, and weighs nothing."""
    fold = Fold(0, 10, NOTHING)
    fold.feed([(1, 0, 1, 1, "5"), (2, 0, 1, 1, "unavailable"), (3, 4, 0, 0, None)])

    figures, closing = fold.close()

    assert (figures.low, figures.high, figures.mean, figures.rise) == (5.0, 5.0, None, 0.0)
    assert (figures.events, figures.changes, figures.states) == (3, 2, '{"unavailable":10}')
    assert closing == ("unavailable", 5.0, 5.0)
