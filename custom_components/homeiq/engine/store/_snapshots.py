"""Read a snapshot of the store in a thread, where a query takes too long to wait for row by row on the event loop."""

import asyncio
from collections.abc import Callable
import sqlite3

from ._connection import snapshot
from ._store import Store


async def read_in_thread[T](store: Store, read: Callable[[sqlite3.Connection], T]) -> T:
    """Return what ``read`` makes of one snapshot; it runs to its end in its thread, also if nobody waits any more."""

    def in_thread() -> T:
        with snapshot(store.path) as connection:
            return read(connection)

    # The store's own reader sees that the file is open, and takes note of damage that is met.
    async with store.reader():
        return await asyncio.to_thread(in_thread)
