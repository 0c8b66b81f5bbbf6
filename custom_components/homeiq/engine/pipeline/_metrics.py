"""Measure the pipeline: rates, latencies, ages; in memory, cheap, on a clock that never runs backwards."""

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from ..model import Event

_WINDOW_S: Final = 60.0
_LATENCIES: Final = 256
_GAPS: Final = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineStats:
    """Describe the pipeline at one moment.

    ``write_p95_ms`` is over the last 256 commits, None before the first. ``last_commit_age_s`` is None before the
    first commit. ``lost`` counts since this pipeline was made, ``lost_uncounted`` those of them that the store does not
    know of yet; ``lost_age_s`` is the time since the last loss was noticed. ``failing`` is the one-word reason why
    commits fail now, None while they pass. ``quiet_s`` is the time since the last event was stored, ``usual_gap_s`` the
    95th percentile of gaps between batches with events.
    ``today`` counts the stored events since local midnight, ``noisiest`` is the entity with most of them.
    """

    received: int
    stored: int
    lost: int
    lost_uncounted: int
    lost_age_s: float | None
    filtered: int
    attribute_only: int
    logs_lost: int
    buffer_depth: int
    buffer_limit: int
    per_minute: int
    write_p95_ms: float | None
    last_commit_age_s: float | None
    failing: str | None
    quiet_s: float | None
    usual_gap_s: float | None
    today: int
    noisiest: tuple[str, int] | None


class Metrics:
    """Collect what the statistics need."""

    def __init__(self) -> None:
        """Begin with nothing measured."""
        self._stored: deque[tuple[float, int]] = deque()
        self._latencies: deque[float] = deque(maxlen=_LATENCIES)
        self._gaps: deque[float] = deque(maxlen=_GAPS)
        self._last_event: float | None = None
        self.last_commit: float | None = None
        self._day_us = 0
        self._today: Counter[str | None] = Counter()

    def committed(self, now: float, took_s: float, events: Iterable[Event], stored: int) -> None:
        """Take note of one commit."""
        self.last_commit = now
        self._latencies.append(took_s)
        if not stored:
            return
        if self._last_event is not None:
            self._gaps.append(now - self._last_event)
        self._last_event = now
        self._forget_before(now - _WINDOW_S)
        self._stored.append((now, stored))
        self._today.update(event.entity_id for event in events if event.time_us >= self._day_us)

    def begin_day(self, start_us: int, counts: Mapping[str | None, int]) -> None:
        """Count the events of each entity since a time, from the ones already counted on."""
        self._day_us = start_us
        self._today = Counter(counts)

    def today(self) -> int:
        """Return how many events were stored since the day began."""
        return self._today.total()

    def per_minute(self, now: float) -> int:
        """Return how many events were stored within the last 60 s."""
        self._forget_before(now - _WINDOW_S)
        return sum(stored for _, stored in self._stored)

    def write_p95_ms(self) -> float | None:
        """Return the 95th percentile of commit times in milliseconds (nearest rank)."""
        return None if (value := _p95(self._latencies)) is None else value * 1000

    def usual_gap_s(self) -> float | None:
        """Return the 95th percentile of the seconds between commits that held events (nearest rank)."""
        return _p95(self._gaps)

    def quiet_s(self, now: float) -> float | None:
        """Return the seconds since the last stored event."""
        return None if self._last_event is None else now - self._last_event

    def noisiest(self) -> tuple[str, int] | None:
        """Return the entity with the most events today and their number."""
        named = ((entity_id, count) for entity_id, count in self._today.most_common(2) if entity_id is not None)
        return next(named, None)

    def _forget_before(self, then: float) -> None:
        while self._stored and self._stored[0][0] < then:
            self._stored.popleft()


def _p95(values: Iterable[float]) -> float | None:
    ordered = sorted(values)
    return ordered[-(-95 * len(ordered) // 100) - 1] if ordered else None
