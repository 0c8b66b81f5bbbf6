"""Break work off between any two of its writes, as a kill or a full disk does."""

from collections.abc import Awaitable, Callable

import aiosqlite
import pytest

from homeiq_engine.model import StoreError
from homeiq_engine.store import Store


class Interrupter:
    """Let a store's writes through up to a number of them, then refuse all until it is lifted."""

    def __init__(self, store: Store, patch: pytest.MonkeyPatch) -> None:
        """Take the store's place in front of its writer; nothing is refused yet."""
        self._write = store.write
        self.left: float = float("inf")
        self.let_through = 0
        patch.setattr(store, "write", self._counted)

    async def _counted(self, work: Callable[[aiosqlite.Connection], Awaitable[object]]) -> object:
        if self.left <= 0:
            raise StoreError("interrupted", reason="io_error")
        self.left -= 1
        self.let_through += 1
        return await self._write(work)
