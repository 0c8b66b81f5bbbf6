"""Decide when to try again: back-off with jitter, and a circuit that opens when trying is of no use."""

from dataclasses import dataclass
from enum import StrEnum
import random
from typing import Final

OPENS_AFTER: Final = 5
"""Failures in a row that open the circuit."""

PROBE: Final = 50
"""Events with which a half-open circuit tries whether the server is back."""

_LONGEST_RETRY_AFTER_S: Final = 3600.0


class CircuitState(StrEnum):
    """Say whether requests go out: all, none until the wait is over, or one small probe."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Wait longer from failure to failure, in seconds, with jitter so that several homes do not come back as one.

    ``refused`` is the wait where only a person can help: a wrong token, a missing bucket.
    """

    first: float = 1.0
    longest: float = 60.0
    refused: float = 300.0

    def delay(self, failures: int, retry_after: float | None = None, *, refused: bool = False) -> float:
        """Return the seconds to wait after so many failures in a row; the server's Retry-After is a lower bound.

        Between half the doubled delay and all of it, never below ``first``.
        """
        if refused:
            return max(self.refused, min(retry_after or 0.0, _LONGEST_RETRY_AFTER_S))
        ceiling = min(self.longest, self.first * 2.0 ** min(failures, 30))
        jittered = max(self.first, random.uniform(ceiling / 2, ceiling))  # noqa: S311
        return max(jittered, min(retry_after or 0.0, _LONGEST_RETRY_AFTER_S))


class CircuitBreaker:
    """Count failures in a row and hold the circuit's state."""

    def __init__(self, backoff: Backoff) -> None:
        """Begin closed."""
        self._backoff = backoff
        self.failures = 0
        self.state = CircuitState.CLOSED

    def begin(self) -> None:
        """Note that an attempt begins: an open circuit is probed."""
        if self.state is CircuitState.OPEN:
            self.state = CircuitState.HALF_OPEN

    def succeeded(self) -> None:
        """Close the circuit."""
        self.failures = 0
        self.state = CircuitState.CLOSED

    def failed(self, retry_after: float | None = None, *, refused: bool = False) -> float:
        """Count a failure and return the seconds to wait; the fifth in a row, or a failed probe, opens the circuit."""
        delay = self._backoff.delay(self.failures, retry_after, refused=refused)
        self.failures += 1
        if self.failures >= OPENS_AFTER or self.state is CircuitState.HALF_OPEN:
            self.state = CircuitState.OPEN
        return delay
