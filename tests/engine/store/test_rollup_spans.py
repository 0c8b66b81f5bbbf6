"""Time is cut into hours and local days without a gap or an overlap, whatever a zone does to its clocks."""

from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from homeiq_engine.model import Span
from homeiq_engine.store._rollup_spans import END_US, FIRST_US, HOUR_US, Spans
from tests.engine.store.rollup_samples import DAY_US, us

BERLIN, NEW_YORK, TOKYO = (ZoneInfo(key) for key in ("Europe/Berlin", "America/New_York", "Asia/Tokyo"))
NOW_US = us("2026-06-10 12:00", "Europe/Berlin")


@pytest.mark.parametrize(
    ("key", "first", "lengths"),
    [
        ("Europe/Berlin", "2026-03-28", [24, 23, 24]),
        ("Europe/Berlin", "2026-10-24", [24, 25, 24]),
        ("Australia/Lord_Howe", "2026-04-04", [24, 24.5, 24]),
        ("Australia/Lord_Howe", "2026-10-03", [24, 23.5, 24]),
        ("America/St_Johns", "2026-03-07", [24, 23, 24]),
        # Midnight is skipped.
        ("America/Santiago", "2026-09-05", [24, 23, 24]),
        # Midnight happens twice, and the hour before it.
        ("Asia/Beirut", "2026-10-24", [25, 24, 24]),
        ("America/Havana", "2026-10-31", [24, 25, 24]),
        # In these years the clocks went back at one minute past midnight.
        ("America/St_Johns", "2006-10-28", [24, 25, 24]),
        # A day that never was: after the 29th came the 31st.
        ("Pacific/Apia", "2011-12-28", [24, 24, 24]),
    ],
)
def test_days_are_as_long_as_they_are(key: str, first: str, lengths: list[float]) -> None:
    """Days of 23 to 25 hours, by half hours where the clocks move by half an hour, end where the next begins."""
    start_us = us(f"{first} 00:00", key)

    bounds = Spans.from_json(None, ZoneInfo(key)).bounds(Span.DAY, start_us, start_us + 3 * DAY_US)

    assert bounds[0] == start_us
    assert [(end - start) / HOUR_US for start, end in pairwise(bounds[:4])] == lengths


@pytest.mark.parametrize("span", Span)
@pytest.mark.parametrize("time_us", [-(2**62), FIRST_US, NOW_US - 1, NOW_US, END_US, 2**62])
def test_every_time_has_a_bucket(span: Span, time_us: int) -> None:
    """It holds the time, or the nearest one that makes sense."""
    start, end = Spans.from_json(None, BERLIN).bucket(span, time_us)

    assert start <= max(FIRST_US, min(time_us, END_US)) < end


def test_moves_are_remembered_and_leave_no_gap() -> None:
    """From move to move days follow each other, before and after they were written down."""
    moved = Spans.from_json(None, BERLIN).moved_to(NEW_YORK, NOW_US).moved_to(TOKYO, NOW_US + 5 * DAY_US)
    again = Spans.from_json(moved.to_json(), TOKYO)
    bounds = again.bounds(Span.DAY, NOW_US - 3 * DAY_US, NOW_US + 9 * DAY_US)

    assert list(bounds) == list(moved.bounds(Span.DAY, NOW_US - 3 * DAY_US, NOW_US + 9 * DAY_US))
    # The day of the first move is cut at six, New York's midnight; the one of the second at five in the afternoon.
    assert [(end - start) / HOUR_US for start, end in pairwise(bounds)] == [*[24] * 4, 6, *[24] * 4, 11, *[24] * 4]
    assert [again.bucket(Span.DAY, time_us) for time_us in bounds[:-1]] == list(pairwise(bounds))
    assert [again.bucket(Span.DAY, time_us - 1) for time_us in bounds[1:]] == list(pairwise(bounds))
    assert again.moved_to(TOKYO, NOW_US + 9 * DAY_US) is again


def test_a_move_taken_back_leaves_nothing_behind() -> None:
    """A zone that was set by mistake and corrected before its midnight has no day."""
    spans = Spans.from_json(None, BERLIN)

    assert spans.moved_to(NEW_YORK, NOW_US).moved_to(BERLIN, NOW_US + 1).to_json() == spans.to_json()
