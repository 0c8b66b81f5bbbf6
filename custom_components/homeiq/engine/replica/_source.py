"""Name what a replica follows."""

from collections.abc import Sequence
from typing import Protocol

from ..model import DeadLetter, Event


class ReplicaSource(Protocol):
    """Hold events in row order, a cursor and dead letters; the store's Follower is one. All may raise EngineError."""

    async def events_after(self, row_id: int, limit: int) -> Sequence[Event]:
        """Return up to ``limit`` events with a greater row id, in the order of their ids."""
        ...

    async def events_at(self, time_us: int, limit: int) -> Sequence[Event]:
        """Return up to ``limit`` events of one microsecond, in the order of their ids."""
        ...

    async def events_in(self, start_us: int, end_us: int, after_row: int, limit: int) -> Sequence[Event]:
        """Return up to ``limit`` events with start <= time < end and a greater row id, in the order of their ids."""
        ...

    async def count_in(self, start_us: int, end_us: int, last_row: int) -> int:
        """Return how many events with start <= time < end there are up to a row id."""
        ...

    async def last_row_id(self) -> int:
        """Return the greatest row id that was ever given, 0 for none."""
        ...

    async def first_row_since(self, time_us: int) -> int | None:
        """Return the least row id of an event of this time or later, None if there is none."""
        ...

    async def cursor(self) -> int | None:
        """Return the row id up to which everything is settled, None if it was never set."""
        ...

    async def advance(self, row_id: int, dead: Sequence[DeadLetter] = ()) -> None:
        """Move the cursor forward and keep dead letters, in one transaction."""
        ...

    async def rewind(self, row_id: int) -> None:
        """Set the cursor to any row id."""
        ...

    async def dead_letters(self, after_id: int = 0, limit: int = 100) -> Sequence[DeadLetter]:
        """Return up to ``limit`` dead letters after one's id, oldest first."""
        ...

    async def dead_letter_count(self) -> int:
        """Return how many dead letters are held."""
        ...

    async def delete_dead_letters(self, ids: Sequence[int] | None = None) -> int:
        """Delete some dead letters, or all; return how many went."""
        ...
