"""Describe what a replica is doing, for sensors, services and diagnostics."""

from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from ._breaker import CircuitState
from ._errors import Reason

_SPAN_S: Final = 60.0


class ReplicaState(StrEnum):
    """Say what the replica is doing; all but ``stopped`` go on spooling in the store."""

    STARTING = "starting"
    FOLLOWING = "following"
    RETRYING = "retrying"
    UNAUTHORIZED = "unauthorized"
    BUCKET_MISSING = "bucket_missing"
    PAUSED = "paused"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaStats:
    """Describe the replica.

    ``cursor`` is the last row id that is settled: acknowledged by the server, kept as a dead letter or left out by the
    filter. ``lag_s`` is the age in seconds of the oldest event that is not. ``points_per_s`` is the mean of the last
    minute. ``sent`` (points) and ``bytes_sent`` (compressed, as they went over the wire, repetitions included) count
    since the start, as does ``unverified``: events that a verification read did not find. ``dead_letters`` are held
    now. ``last_success`` is in microseconds UTC. ``last_error`` and ``last_reason`` are None while all is well.
    """

    state: ReplicaState
    circuit: CircuitState
    cursor: int
    lag_events: int
    lag_s: float
    points_per_s: float
    sent: int
    bytes_sent: int
    dead_letters: int
    unverified: int
    last_success: int | None
    last_error: str | None
    last_reason: Reason | None


class Rate:
    """Measure points per second over the last minute, or since the first point if that is less."""

    def __init__(self) -> None:
        """Begin at zero."""
        self._counts: deque[tuple[float, int]] = deque()
        self._total = 0
        self._first: float | None = None

    def add(self, points: int, now: float) -> None:
        """Count points at a monotonic time in seconds."""
        self._first = now if self._first is None else self._first
        self._counts.append((now, points))
        self._total += points
        self._forget(now)

    def per_second(self, now: float) -> float:
        """Return the mean of the last minute."""
        self._forget(now)
        if self._first is None or not self._total:
            return 0.0
        # A first batch has no duration of its own; a second is the least that makes a rate.
        return self._total / min(_SPAN_S, max(1.0, now - self._first))

    def _forget(self, now: float) -> None:
        while self._counts and self._counts[0][0] <= now - _SPAN_S:
            self._total -= self._counts.popleft()[1]
