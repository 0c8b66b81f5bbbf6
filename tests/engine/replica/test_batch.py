"""However a batch is taken apart, every line is in one part, in order, and the last part settles all."""

from hypothesis import given, strategies as st

from homeiq_engine.replica import Batch, Line

_SIZES = st.lists(st.integers(1, 50), min_size=2, max_size=40)


def _batch(sizes: list[int]) -> Batch:
    lines = [Line(b"x" * size, row, 0, None) for row, size in enumerate(sizes, 1)]
    return Batch(lines=lines, last_id=len(sizes) + 7)


@given(sizes=_SIZES, data=st.data())
def test_a_split_batch_is_whole(sizes: list[int], data: st.DataObject) -> None:
    """The first part settles up to its last line, the rest as far as the whole."""
    batch = _batch(sizes)
    at = data.draw(st.integers(1, len(sizes) - 1))

    first, rest = batch.split(at)

    assert (*first.lines, *rest.lines) == tuple(batch.lines)
    assert (first.last_id, rest.last_id) == (at, batch.last_id)
    assert first.body + b"\n" + rest.body == batch.body


@given(sizes=_SIZES)
def test_halves_differ_by_one_at_most(sizes: list[int]) -> None:
    """Halving always ends at single lines."""
    first, rest = _batch(sizes).halves()

    assert 0 <= len(rest.lines) - len(first.lines) <= 1


@given(sizes=_SIZES, max_lines=st.integers(1, 50), max_body=st.integers(1, 600))
def test_what_fits_keeps_both_limits_and_is_one_line_at_least(sizes: list[int], max_lines: int, max_body: int) -> None:
    """As many lines as the limits allow; the line above the size goes alone."""
    fitting = _batch(sizes).within(max_lines, max_body)

    by_size = [count for count in range(1, len(sizes) + 1) if sum(sizes[:count]) + count <= max_body]
    assert fitting == max(1, min(max_lines, max(by_size, default=1)))
