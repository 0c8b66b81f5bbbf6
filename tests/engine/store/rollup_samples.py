"""Roll events up the slow and plain way, to hold the store's roll-ups against, and make homes with awkward days."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
import sys
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import strategies as st
import pytest

from homeiq_engine.model import Event, EventKind, Origin, RollUp, RollUpQuery, Span
from homeiq_engine.store import RollUps
from tests.engine.store.samples import event

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US


def us(text: str, zone: str = "UTC") -> int:
    """Return a local time as microseconds."""
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()) * 1_000_000


# The evening before a day of 23, 25, 23.5 or 24.5 hours, far enough from it that whole days lie around.
AWKWARD = [
    ("UTC", "2026-06-10 20:00"),
    ("Europe/Berlin", "2026-03-28 12:00"),
    ("Europe/Berlin", "2026-10-24 12:00"),
    ("Australia/Lord_Howe", "2026-04-04 12:00"),
    ("Australia/Lord_Howe", "2026-10-03 12:00"),
    ("America/St_Johns", "2026-03-07 12:00"),
    ("America/St_Johns", "2026-10-31 12:00"),
    # Midnight itself is skipped.
    ("America/Santiago", "2026-09-05 12:00"),
    ("Africa/Cairo", "2026-10-29 12:00"),
]
STATES = st.sampled_from(
    ["on", "off", "unknown", "unavailable", None, "", "1", "2", "5.5", "-3", "0", "100", "95", "91", "80"]
)
ODD_STATES = st.sampled_from(["1e308", "-1e308", "nan", "inf", "1_0", " 7 ", "x\x00y", "💡", "a" * 255])


@st.composite
def homes(draw: st.DrawFn) -> tuple[ZoneInfo, int, list[list[Event]]]:
    """Draw a zone, a time to begin with, and batches of events of the three days after, in any order."""
    name, begin = draw(st.sampled_from(AWKWARD))
    start_us = us(begin, name)
    minutes = st.one_of(
        st.integers(0, 72 * 60), st.integers(0, 144).map(lambda half: half * 30), st.integers(1430, 1450)
    )
    one = st.builds(
        lambda entity, minute, after_us, state, old, kind: event(
            entity_id=entity,
            time_us=start_us + minute * 60_000_000 + after_us,
            state=None if kind is EventKind.CALL else state,
            old_state=old,
            kind=kind,
            origin=Origin.DEVICE,
        ),
        st.sampled_from(["sensor.a", "light.b", None]),
        minutes,
        st.sampled_from([0, 0, 1, 999_999]),
        st.one_of(STATES, STATES, ODD_STATES),
        st.one_of(STATES, STATES, ODD_STATES),
        st.sampled_from([EventKind.STATE] * 4 + [EventKind.ATTRIBUTES, EventKind.CALL]),
    )
    return ZoneInfo(name), start_us, draw(st.lists(st.lists(one, max_size=12), min_size=1, max_size=4))


def brute(events: Sequence[Event], zone: ZoneInfo, until_us: int, spans: Sequence[Span] = tuple(Span)) -> list[RollUp]:
    """Return all roll-ups of buckets that end by a time, by entity, span and time; events come in the order of storing."""
    found: list[RollUp] = []
    for entity_id in sorted({one.entity_id for one in events if one.entity_id}):
        mine = sorted((one for one in events if one.entity_id == entity_id), key=lambda one: one.time_us)
        for span in spans:
            buckets = _buckets(mine[0].time_us, until_us, span, zone)
            rolled = [_bucket(mine, entity_id, span, start, end) for start, end in buckets]
            found += [one for one in rolled if one is not None]
    return found


def _buckets(first_us: int, until_us: int, span: Span, zone: ZoneInfo) -> list[tuple[int, int]]:
    if span is Span.HOUR:
        bounds = list(range(first_us // HOUR_US * HOUR_US, until_us + 1, HOUR_US))
    else:
        day = datetime.fromtimestamp(first_us // 1_000_000, zone).date()
        days = [day + timedelta(days=number) for number in range((until_us - first_us) // DAY_US + 3)]
        midnights = [datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC) for day in days]
        bounds = [int(midnight.timestamp()) * 1_000_000 for midnight in midnights]
    return [(start, end) for start, end in pairwise(bounds) if end <= until_us]


def _number(state: str | None) -> float | None:
    try:
        value = float(state or "x")
    except ValueError:
        return None
    return value if abs(value) < float("inf") and "_" not in str(state) else None


def _bucket(mine: Sequence[Event], entity_id: str, span: Span, start: int, end: int) -> RollUp | None:
    inside = [one for one in mine if start <= one.time_us < end]
    states = [one for one in mine if one.kind is EventKind.STATE]
    before = [one for one in states if one.time_us < start]
    now = [one for one in states if start <= one.time_us < end]
    at_start = before[-1].state if before else None
    at_end = now[-1].state if now else at_start
    if not inside and at_start is None:
        return None
    # Each state in force, and for how long.
    changes = [(start, at_start), *((one.time_us, one.state) for one in now)]
    ends = [time_us for time_us, _ in changes[1:]] + [end]
    stretches = [(state, until - since) for (since, state), until in zip(changes, ends, strict=True)]
    numbers = [(_number(state), held) for state, held in stretches]
    values = [value for value, _ in numbers if value is not None]
    weight = sum(held for value, held in numbers if value is not None)
    words = [state for state, held in stretches if state is not None and _number(state) is None and held]
    return RollUp(
        entity_id=entity_id,
        span=span,
        start_us=start,
        end_us=end,
        events=len(inside),
        changes=sum(one.state != one.old_state for one in now),
        low=min(values, default=None),
        high=max(values, default=None),
        mean=sum(value * (held / weight) for value, held in numbers if value is not None) if weight else None,
        last=_number(at_end),
        rise=_rise([_number(one.state) for one in before], [_number(one.state) for one in now]) if values else None,
        states={word: sum(held for state, held in stretches if state == word) / 1e6 for word in words},
        state=at_end,
    )


def _rise(before: Sequence[float | None], now: Sequence[float | None]) -> float:
    """Return what a meter counted: all that its highest point since the last reset rose by."""
    counted: list[float] = []
    previous: float | None = None
    peak = 0.0
    for value in [*before, *now]:
        step = 0.0
        if value is not None:
            if previous is None:
                peak = value
            elif value < previous and value < 0.9 * previous:
                step, peak = max(0.0, value), value
            else:
                step, peak = max(0.0, value - peak), max(peak, value)
            previous = value
        counted.append(step)
    return min(sum(counted[len(before) :]), sys.float_info.max)


def plainly(rollups: Sequence[RollUp]) -> list[dict[str, Any]]:
    """Return roll-ups as mappings."""
    return [{name: getattr(one, name) for name in RollUp.__slots__} for one in rollups]


def approximately(rollups: Sequence[RollUp]) -> list[dict[str, Any]]:
    """Return what roll-ups as mappings should equal, sums of floats to nine digits of the numbers that went in."""
    plain = plainly(rollups)
    for one in plain:
        scale = max(abs(one["low"] or 0.0), abs(one["high"] or 0.0), sys.float_info.min)
        one |= {name: pytest.approx(one[name], rel=1e-9, abs=1e-9 * scale) for name in ("mean", "rise")}
    return plain


async def all_rollups(rollups: RollUps, start_us: int, end_us: int) -> list[RollUp]:
    """Return all roll-ups of some entities by entity, then span."""
    found = [
        one
        for span in Span
        for one in await rollups.query(
            RollUpQuery(entity_ids=None, start_us=start_us, end_us=end_us, span=span, limit=10_000)
        )
    ]
    return sorted(found, key=lambda one: (one.entity_id, tuple(Span).index(one.span), one.start_us))
