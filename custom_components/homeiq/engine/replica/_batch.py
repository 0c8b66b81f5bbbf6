"""Hold encoded lines, and take them apart where a server wants less or refuses some."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import NamedTuple, Self


class Line(NamedTuple):
    """Be one line, without its end, and say which event it is."""

    text: bytes
    event_id: int
    time_us: int
    entity_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Hold lines in row order.

    ``last_id`` is the row id up to which everything is settled once these lines are: rows that are not sent may come
    after the last line, or be all there is.
    """

    lines: Sequence[Line]
    last_id: int

    @property
    def body(self) -> bytes:
        """Return the lines as one text."""
        return b"\n".join([line.text for line in self.lines])

    def split(self, lines: int) -> tuple[Self, Self]:
        """Return the first so many lines and the rest; there must be one at least on both sides."""
        first = replace(self, lines=self.lines[:lines], last_id=self.lines[lines - 1].event_id)
        return first, replace(self, lines=self.lines[lines:])

    def halves(self) -> tuple[Self, Self]:
        """Return both halves of a batch of two lines or more."""
        return self.split(len(self.lines) // 2)

    def within(self, max_lines: int, max_body: int) -> int:
        """Return how many of the first lines stay within both limits, one at least."""
        sizes = accumulate(len(line.text) + 1 for line in self.lines[:max_lines])
        return max(1, sum(size <= max_body for size in sizes))
