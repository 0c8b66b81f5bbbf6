"""Hold what the event loop offered until the writer takes it; bounded, and exact about what it had to refuse."""

from collections import deque
from collections.abc import Callable
from threading import Lock
from typing import Final

# 50,000 events are 40 minutes at a heavy 20 events/s and about 75 MB of Home Assistant's own event objects.
BUFFER_LIMIT: Final = 50_000
LOG_LIMIT: Final = 1_000


class EventBuffer:
    """Queue items in order; offered on the event loop only, taken on the event loop only."""

    def __init__(self, limit: int = BUFFER_LIMIT, *, wake_at: int, wake: Callable[[], None]) -> None:
        """Set the bound and whom to wake as soon as ``wake_at`` items wait."""
        self.limit = limit
        self.lost = 0
        self.received = 0
        self._wake_at = wake_at
        self._wake = wake
        self._items: deque[object] = deque()

    def __len__(self) -> int:
        """Return how many items wait."""
        return len(self._items)

    def offer(self, item: object) -> None:
        """Append an item, or drop and count it where the buffer is full."""
        items = self._items
        if len(items) >= self.limit:
            self.lost += 1
            return
        items.append(item)
        self.received += 1
        if len(items) == self._wake_at:
            self._wake()

    def take(self, limit: int) -> list[object]:
        """Remove and return up to ``limit`` items, oldest first."""
        count = min(limit, len(self._items))
        popleft = self._items.popleft
        return [popleft() for _ in range(count)]


class LogBuffer:
    """Queue log records from any thread; a record that does not fit is dropped and counted."""

    def __init__(self, limit: int = LOG_LIMIT) -> None:
        """Set the bound."""
        self._limit = limit
        self._lock = Lock()
        self._items: list[object] = []
        self._lost = 0

    def __len__(self) -> int:
        """Return how many records wait."""
        return len(self._items)

    def offer(self, item: object) -> None:
        """Append a record; safe in any thread."""
        with self._lock:
            if len(self._items) < self._limit:
                self._items.append(item)
            else:
                self._lost += 1

    def take(self) -> tuple[list[object], int]:
        """Remove all records and return them with the number lost since the last time."""
        with self._lock:
            items, lost = self._items, self._lost
            self._items, self._lost = [], 0
        return items, lost
