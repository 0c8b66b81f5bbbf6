"""Lay the home's history out in local days, and say which days and hours can bear witness.

A day on which Home Assistant did not run, or lost sight of its devices, is no day on which a habit failed. So each local
hour is either seen or blind, each day usable or not, and a habit's denominator counts only days that could show it.

Wall minutes are minutes since 1970-01-01 00:00 on the home's own clocks: they jump with daylight saving time, just as the
household's habits do.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final, Self
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from ..model import SLOT_US, ActColumns
from ._circular import DAY_MIN, Floats

type Ints = NDArray[np.int64]
type Bools = NDArray[np.bool_]

_HOURS: Final = 24
_SLOT_MIN: Final = SLOT_US // 60_000_000
_EPOCH_WEEKDAY: Final = 3  # 1970-01-01 was a Thursday

USABLE_SHARE: Final = 0.5
"""A day needs events in half as many hours as the home's median day: less is a day of standstill."""
STEADY_HOURS: Final = 23
"""A home whose median day has events in this many hours is never silent by itself: a silent hour is a blind one."""
BLIND_SHARE: Final = 0.5
"""An hour is blind when half of the home's entities spent it unavailable."""
TRAIN_SHARE: Final = 0.75
"""Times and weekdays are learnt on the first three quarters of the usable days, and tried on the rest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HomeDays:
    """Hold the local days of a range, from ``first_day`` (days since the epoch) on; arrays have one item per day.

    ``usable`` days bear witness, ``train`` are the usable ones that habits are learnt on, ``weekday`` has 0 for Monday.
    ``clear`` counts, cumulatively over wall hours from the day before ``first_day`` on, the hours that can bear witness.
    """

    first_day: int
    usable: Bools
    train: Bools
    weekday: Ints
    clear: Ints
    end_wall: float

    @classmethod
    def lay_out(cls, columns: ActColumns, tz: ZoneInfo) -> Self:
        """Sort out the days between the columns' ends."""
        first_slot, end_slot = columns.start_us // SLOT_US, -(-columns.end_us // SLOT_US)
        slots = np.arange(first_slot, max(end_slot, first_slot + 1), dtype=np.int64)
        wall_slots = slots * _SLOT_MIN + offsets_min(slots, tz)
        first_day = int(wall_slots.min()) // DAY_MIN
        count = int(wall_slots.max()) // DAY_MIN - first_day + 1
        # A day's margin on both sides, for habits around midnight.
        hour = wall_slots // 60 - (first_day - 1) * _HOURS
        hours = (count + 2) * _HOURS

        alive = np.isin(slots, np.frombuffer(columns.slots, dtype=np.int64))
        blind = _away(columns, slots) >= BLIND_SHARE * max(1, columns.entity_count)
        exists = np.bincount(hour, minlength=hours) > 0
        heard = np.bincount(hour[alive], minlength=hours) > 0
        dark = np.bincount(hour[blind], minlength=hours) == np.maximum(1, np.bincount(hour, minlength=hours))

        heard_a_day = (heard & ~dark).reshape(-1, _HOURS)[1:-1].sum(axis=1)
        alive_days = np.flatnonzero(heard_a_day)
        typical = float(np.median(heard_a_day[alive_days[0] : alive_days[-1] + 1])) if alive_days.size else 0.0
        steady = typical >= STEADY_HOURS
        usable = _whole(columns, tz, first_day, count) & (heard_a_day > 0) & (heard_a_day >= USABLE_SHARE * typical)
        ordinal = np.cumsum(usable)
        clear = exists & ~dark & (heard | (not steady))
        return cls(
            first_day=first_day,
            usable=usable,
            train=usable & (ordinal <= np.ceil(TRAIN_SHARE * usable.sum())),
            weekday=(np.arange(first_day, first_day + count) + _EPOCH_WEEKDAY) % 7,
            clear=np.concatenate(([0], np.cumsum(clear))),
            end_wall=columns.end_us / 60e6 + float(offsets_min(slots[-1:], tz)[0]),
        )

    @property
    def observed(self) -> int:
        """Return how many days bear witness."""
        return int(self.usable.sum())

    def date_of(self, index: int) -> date:
        """Return the date of the day at an index."""
        return date(1970, 1, 1) + timedelta(days=self.first_day + int(index))

    def nearest(self, wall: Floats, minute: float) -> tuple[Ints, Floats]:
        """Return for each act the day whose ``minute`` is nearest, and how many minutes after it the act came.

        The day is an index that can lie outside of the range.
        """
        day = np.floor((wall - minute + DAY_MIN / 2) / DAY_MIN).astype(np.int64)
        return day - self.first_day, wall - (day * DAY_MIN + minute)

    def in_range(self, day: Ints) -> Bools:
        """Return which day indices lie in the range."""
        inside: Bools = (day >= 0) & (day < len(self.usable))
        return inside

    def possible(self, minute: float, half_min: float) -> Bools:
        """Return the usable days on which every hour of ``minute`` ± ``half_min`` could bear witness."""
        start = (np.arange(len(self.usable)) + 1) * DAY_MIN + minute - half_min
        low = np.floor(start / 60).astype(np.int64)
        high = np.floor((start + 2 * half_min) / 60).astype(np.int64)
        seen = self.clear[high + 1] - self.clear[low] == high - low + 1
        ends = start + 2 * half_min + (self.first_day - 1) * DAY_MIN
        possible: Bools = self.usable & seen & (ends <= self.end_wall)
        return possible


def offsets_min(slots: Ints, tz: ZoneInfo) -> Ints:
    """Return the offset of local time from UTC in minutes at the start of each quarter of an hour since the epoch."""
    step = SLOT_US // 1_000_000
    seconds = (datetime.fromtimestamp(int(slot) * step, tz).utcoffset() for slot in slots)
    return np.array([0 if gap is None else gap // timedelta(minutes=1) for gap in seconds], dtype=np.int64)


def wall_minutes(time_us: Ints, tz: ZoneInfo) -> Floats:
    """Return UTC microseconds as wall minutes; offsets are looked up once per quarter of an hour."""
    slots, place = np.unique(time_us // SLOT_US, return_inverse=True)
    walls: Floats = time_us / 60e6 + offsets_min(slots, tz)[place]
    return walls


def _away(columns: ActColumns, slots: Ints) -> Ints:
    """Return for each slot how many entities spent all of it unavailable."""
    starts = -(-np.frombuffer(columns.outage_start_us, dtype=np.int64) // SLOT_US) - slots[0]
    ends = np.frombuffer(columns.outage_end_us, dtype=np.int64) // SLOT_US - slots[0]
    inside = ends > starts
    change = np.zeros(len(slots) + 1, dtype=np.int64)
    np.add.at(change, np.clip(starts[inside], 0, len(slots)), 1)
    np.add.at(change, np.clip(ends[inside], 0, len(slots)), -1)
    return np.cumsum(change)[:-1]


def _whole(columns: ActColumns, tz: ZoneInfo, first_day: int, count: int) -> Bools:
    """Return which days lie wholly in the range, counted from the first sign of life with an hour's grace."""
    first_us = max(columns.start_us, columns.slots[0] * SLOT_US if columns.slots else columns.end_us)
    midnights = [
        datetime.combine(date(1970, 1, 1) + timedelta(days=first_day + index), datetime.min.time(), tz)
        for index in range(count + 1)
    ]
    us = np.array([int(midnight.astimezone(UTC).timestamp()) * 1_000_000 for midnight in midnights], dtype=np.int64)
    return (us[:-1] >= first_us - 3_600_000_000) & (us[1:] <= columns.end_us)
