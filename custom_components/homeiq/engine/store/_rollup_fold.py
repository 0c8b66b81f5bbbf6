"""Fold an entity's events, bucket by bucket, into the figures of a roll-up."""

from collections.abc import Sequence
from functools import lru_cache
import sys
from typing import Final, NamedTuple

import orjson

from ..model import decimal_value

# A sensor whose state is free text has a new one at every event; nobody asks how long each of thousands was in force.
_MOST_STATES: Final = 16
# The part of the number before below which a fall is a meter's reset, as in Home Assistant's sensor statistics.
_RESET_BELOW: Final = 0.9

# Row id, time, whether it is a state, whether that is another one than before, the state.
type Row = tuple[int, int, int, int, str | None]

as_number = lru_cache(maxsize=20_000)(decimal_value)


class Closing(NamedTuple):
    """Hold what the next bucket goes on from: the state, the last number and the highest one since the last reset."""

    state: str | None
    number: float | None
    peak: float | None

    @classmethod
    def from_row(cls, state: str | None, number: float | None, peak: float | None) -> Closing:
        """Return what a stored roll-up closed with; what can be told from the other columns is not stored."""
        if state is not None and (value := as_number(state)) is not None:
            number = value
        return cls(state, number, number if peak is None else peak)

    def to_row(self) -> tuple[str | None, float | None, float | None]:
        """Return the columns that ``from_row`` takes."""
        state, number, peak = self
        told = state is not None and as_number(state) is not None
        return state, None if told else number, None if peak == number else peak


NOTHING: Final = Closing(None, None, None)


class Figures(NamedTuple):
    """Hold the columns of a roll-up from ``events`` to ``states``."""

    events: int
    changes: int
    low: float | None
    high: float | None
    mean: float | None
    rise: float | None
    states: str | None


class Fold:
    """Take the events of one bucket in the order of (time, row id) and give its figures."""

    def __init__(self, start: int, until: int, opening: Closing) -> None:
        """Begin with what the bucket before closed with; times are microseconds, from any epoch."""
        self._until = until
        self._length = until - start
        self._since = start
        self._state, self._number, self._peak = opening
        self._value = None if self._state is None else as_number(self._state)
        self._low = self._high = self._value
        self._area = 0.0
        self._weight = 0
        self._rise = 0.0
        self._times: dict[str, int] = {}
        self.events = 0
        self._changes = 0
        self.last_event = 0

    def feed(self, rows: Sequence[Row]) -> None:
        """Take the next events."""
        self.events += len(rows)
        for row_id, at, is_state, changed, state in rows:
            self.last_event = max(self.last_event, row_id)
            if not is_state:
                continue
            self._changes += changed
            self._settle(at)
            self._state = state
            self._value = value = None if state is None else as_number(state)
            if value is not None:
                self._low = value if self._low is None else min(self._low, value)
                self._high = value if self._high is None else max(self._high, value)
                self._count(value)

    def close(self) -> tuple[Figures, Closing]:
        """Return the bucket's figures, and what the next one goes on from."""
        self._settle(self._until)
        longest = sorted(self._times.items(), key=lambda item: (-item[1], item[0]))[:_MOST_STATES]
        figures = Figures(
            events=self.events,
            changes=self._changes,
            low=self._low,
            high=self._high,
            mean=self._mean(),
            rise=None if self._low is None else min(self._rise, sys.float_info.max),
            states=orjson.dumps(dict(longest)).decode() if longest else None,
        )
        return figures, Closing(self._state, self._number, self._peak)

    def _settle(self, at: int) -> None:
        held = at - self._since
        if not held:
            return
        self._since = at
        if self._value is not None:
            # Parts of the bucket instead of microseconds: the product of a huge number would overflow.
            self._area += self._value * (held / self._length)
            self._weight += held
        elif self._state is not None:
            self._times[self._state] = self._times.get(self._state, 0) + held

    def _count(self, value: float) -> None:
        if self._number is None or self._peak is None:
            self._peak = value
        elif value > self._peak:
            self._rise += value - self._peak
            self._peak = value
        elif value < self._number and value < _RESET_BELOW * self._number:
            self._rise += max(value, 0.0)
            self._peak = value
        self._number = value

    def _mean(self) -> float | None:
        if not self._weight or self._low is None or self._high is None:
            return None
        return min(max(self._area / (self._weight / self._length), self._low), self._high)
