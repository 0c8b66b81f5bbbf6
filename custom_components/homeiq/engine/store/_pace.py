"""Find how many rows one step of maintenance may touch, so that no other writer waits long for it."""

from collections.abc import Awaitable, Callable
import time
from typing import Final

import aiosqlite

type Work[T] = Callable[[aiosqlite.Connection], Awaitable[T]]
type Write[T] = Callable[[Work[T]], Awaitable[T]]

# The promise is 50 ms; a step that takes twice as long as the one before still keeps it.
_MOST_S: Final = 0.020
_LEAST_ROWS: Final = 50


class Pace:
    """Adapt the rows of a step to how long steps take on this disk, up to ``most_rows``."""

    def __init__(self, most_rows: int) -> None:
        """Begin with a quarter of the most."""
        self._most_rows = most_rows
        self.rows = max(_LEAST_ROWS, most_rows // 4)

    def note(self, seconds: float) -> None:
        """Take note of how long the writer was held by the last step."""
        if seconds > _MOST_S:
            self.rows = max(_LEAST_ROWS, self.rows // 2)
        elif seconds < _MOST_S / 4:
            self.rows = min(self._most_rows, self.rows * 2)

    async def write[T](self, write: Write[T], work: Work[T]) -> T:
        """Do one step with one of the store's ways to write, and take note of how long the writer was held."""

        async def timed(writer: aiosqlite.Connection) -> T:
            begun = time.perf_counter()
            try:
                return await work(writer)
            finally:
                self.note(time.perf_counter() - begun)

        return await write(timed)
