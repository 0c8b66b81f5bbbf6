"""Cut time into the buckets of roll-ups: hours of UTC, and days of the home's local time.

A home may move to another time zone. Days that began before keep the zone that they were lived in; the new one counts
from its first midnight after the move, and the day before is cut there.
"""

from bisect import bisect_right
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import orjson

from ..model import Span

HOUR_US: Final = 3_600_000_000
SPAN_TO_CODE: Final = {Span.HOUR: 0, Span.DAY: 1}
# A device without a clock may date events in 1970; what is later than this is nonsense.
FIRST_US: Final = 0
END_US: Final = 4_102_444_800_000_000  # 2100-01-01

type Era = tuple[int, ZoneInfo]


class Spans:
    """Know where each hour and each local day of the home begins."""

    def __init__(self, eras: Sequence[Era]) -> None:
        """Take the zones that the home was in, each with the time (µs) from which on its days count, ascending."""
        self._eras = tuple(eras)

    @classmethod
    def from_json(cls, text: str | None, zone: ZoneInfo) -> Spans:
        """Return the spans that were remembered, those of one zone if none were."""
        return cls(
            ((FIRST_US, zone),) if text is None else [(since, ZoneInfo(key)) for since, key in orjson.loads(text)]
        )

    def to_json(self) -> str:
        """Return what ``from_json`` takes."""
        return orjson.dumps([(since, zone.key) for since, zone in self._eras]).decode()

    def moved_to(self, zone: ZoneInfo, now_us: int) -> Spans:
        """Return the spans of a home that is now in this zone: the same object if it has been there."""
        if self._eras[-1][1].key == zone.key:
            return self
        starts = _day_starts(zone, now_us, now_us)
        midnight = next(start for start in starts if start >= now_us)
        # A move taken back before its first midnight leaves nothing behind.
        kept = [era for era in self._eras if era[0] < midnight]
        return Spans(kept if kept[-1][1].key == zone.key else [*kept, (midnight, zone)])

    def bounds(self, span: Span, first_us: int, last_us: int) -> Sequence[int]:
        """Return the ascending bounds of all buckets from the one around ``first_us`` to the one around ``last_us``.

        Both times are from FIRST_US up to END_US; the first bound is at or before ``first_us``, the last after ``last_us``.
        """
        if span is Span.HOUR:
            return range(first_us // HOUR_US * HOUR_US, last_us + HOUR_US + 1, HOUR_US)
        bounds: list[int] = []
        for index, (since, zone) in enumerate(self._eras):
            end = self._eras[index + 1][0] if index + 1 < len(self._eras) else None
            if last_us < since or (end is not None and end <= first_us):
                continue
            starts = _day_starts(zone, max(first_us, since), last_us if end is None else min(last_us, end))
            # The day that the era began with is cut there, also the one that began in the zone before.
            bounds += ([since] if index else []) + [
                s for s in starts if (not index or s > since) and (not end or s < end)
            ]
            if end is not None and end > last_us:
                bounds.append(end)
        return bounds[bisect_right(bounds, first_us) - 1 :]

    def bucket(self, span: Span, time_us: int) -> tuple[int, int]:
        """Return start and end of the bucket around a time, around the nearest one that makes sense."""
        time_us = max(FIRST_US, min(time_us, END_US))
        start, end = self.bounds(span, time_us, time_us)[:2]
        return start, end


def _day_starts(zone: ZoneInfo, first_us: int, last_us: int) -> list[int]:
    """Return the instants at which local days begin, from one at or before ``first_us`` to one after ``last_us``.

    Where a midnight happens twice the first counts, where it is skipped the moment of the skip; a day that is skipped
    as a whole has no start. So days never overlap, whatever the zone does to its clocks.
    """
    day = datetime.fromtimestamp(first_us / 1e6, zone).date() - timedelta(days=1)
    starts: list[int] = []
    while not starts or starts[-1] <= last_us:
        midnight = datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)
        start = int(midnight.timestamp()) * 1_000_000
        if not starts or start > starts[-1]:
            starts.append(start)
        day += timedelta(days=1)
    return starts
