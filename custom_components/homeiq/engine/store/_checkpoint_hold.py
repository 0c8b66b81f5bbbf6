"""Keep the store's file as it is while somebody copies it; what is committed meanwhile goes on into the log.

A copy of the file and then of its log opens at a committed state: the file does not change under the copy, and the log
only grows. Without this a checkpoint in between leaves the copy with neither the pages nor the log that had them.
"""

import asyncio
from contextlib import suppress
from typing import Final

import aiosqlite

from ..model import StoreError
from ._connection import close, connect
from ._purging import empty_wal
from ._store import Store

HOLD_WITHIN_S: Final = 10.0
# Supervisor may die in the middle of a backup and never tell that it is over.
LONGEST_HOLD_S: Final = 7_200.0


class CheckpointHold:
    """Hold checkpoints off one store, for two hours at most; for use on the event loop."""

    def __init__(self, store: Store, *, longest_s: float = LONGEST_HOLD_S) -> None:
        """Take the store; nothing is held yet."""
        self._store = store
        self._longest_s = longest_s
        self._wanted = False
        self._reader: aiosqlite.Connection | None = None
        self._end: asyncio.TimerHandle | None = None
        self._releasing: asyncio.Task[None] | None = None

    @property
    def held(self) -> bool:
        """Return whether checkpoints are held now."""
        return self._reader is not None

    async def hold(self) -> None:
        """Write the log into the file and keep the file so; a hold that is there already begins anew.

        Raises StoreError, within ten seconds, if the store cannot do so now; nothing is held then.
        """
        await self.release()
        self._wanted = True
        try:
            async with asyncio.timeout(HOLD_WITHIN_S):
                await self._store.write(self._take)
        except TimeoutError as err:
            await self.release()
            raise StoreError("the store is busy with something longer", reason="locked") from err
        except BaseException:
            await self.release()
            raise
        self._end = asyncio.get_running_loop().call_later(self._longest_s, self._release_later)

    async def release(self) -> None:
        """Let checkpoints go on; does nothing if none are held."""
        self._wanted = False
        if self._end is not None:
            self._end.cancel()
            self._end = None
        reader, self._reader = self._reader, None
        if reader is not None:
            await close(reader)

    def _release_later(self) -> None:
        self._releasing = asyncio.ensure_future(self.release())

    async def _take(self, writer: aiosqlite.Connection) -> None:
        # A reader in the way is no harm: what it keeps in the log stays there for the copy, too.
        with suppress(StoreError):
            await empty_wal(writer)
        reader = await connect(self._store.path, read_only=True)
        try:
            # As long as somebody reads at this state, SQLite neither changes the file nor begins the log anew.
            await reader.execute_fetchall("BEGIN")
            await reader.execute_fetchall("SELECT 1 FROM meta LIMIT 1")
        except BaseException:
            await close(reader)
            raise
        if self._wanted:
            self._reader = reader
        else:
            # Given up before the writer was free.
            await close(reader)
