"""Hold what waits to be sent: read from a source, in order, and settled piece by piece."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from ..model import Event
from ._batch import Batch
from ._dispatch import Outcome
from ._errors import InfluxError
from ._rows import NewRows, OldRows
from ._settings import InfluxSettings
from ._source import ReplicaSource


class Outbox:
    """Read new rows, or before them those that are to be sent again; one task at a time."""

    def __init__(
        self, source: ReplicaSource, settings: InfluxSettings, title: str, keeps: Callable[[Event], bool]
    ) -> None:
        """Take what to read and what is wanted of it; nothing is read yet."""
        self._source = source
        self._settings = settings
        self._rows = NewRows(source, settings, title)
        self._rows.keeps = keeps
        self._resends: deque[OldRows] = deque()
        # What pending was read for, None for new rows.
        self._resending: OldRows | None = None
        self._stale = False
        self.pending: deque[Batch] = deque()
        self.oldest_us: int | None = None

    @property
    def cursor(self) -> int:
        """Return the row id up to which all is settled, 0 before the first look."""
        return self._rows.cursor

    @property
    def lag_events(self) -> int:
        """Return how many rows were not settled when the source was last looked at."""
        return max(0, self._rows.last_row - self._rows.cursor)

    def use_filter(self, keeps: Callable[[Event], bool]) -> None:
        """Read with this filter from now on; what waits is read again."""
        self._rows.keeps = keeps
        self._stale = True

    def resend(self, start_us: int, end_us: int, last_row: int) -> None:
        """Read a span of time once more, up to a row."""
        self._resends.append(OldRows(self._source, self._settings, start_us, end_us, last_row))

    def drop(self) -> None:
        """Forget what was read: it is read again after the cursor."""
        self._stale = False
        self.pending.clear()
        self._rows.forget()
        for resend in self._resends:
            resend.forget()

    async def take_up(self) -> None:
        """Take up the source's cursor; what was read before another one is dropped."""
        await self._rows.look()
        if await self._rows.take_up():
            self.pending.clear()

    async def fill(self) -> bool:
        """Make sure that something is pending; return False if there is nothing to send."""
        if self._stale:
            self.drop()
        if self.pending and self._resending is None:
            # Another store may have taken the place of the one that this was read from.
            await self.take_up()
        return bool(self.pending) or await self._read_old() or await self._read_new()

    @asynccontextmanager
    async def reading_ahead(self) -> AsyncIterator[None]:
        """Read and encode the next new rows while a request is under way, if there are any."""
        single = len(self.pending) == 1 and self._resending is None and not self._resends
        if not (single and self._rows.more):
            yield
            return
        ahead = asyncio.ensure_future(self._rows.batch())
        try:
            try:
                yield
            except InfluxError:
                await self._keep(ahead)
                raise
            await self._keep(ahead)
        except InfluxError:
            raise
        except BaseException:
            self._rows.forget()
            ahead.cancel()
            await asyncio.wait((ahead,))
            raise

    async def settle(self, outcome: Outcome) -> None:
        """Persist what is settled; if that fails, all that is not persisted is read again."""
        last_id = outcome.batch.last_id
        try:
            if self._resending is None:
                await self._source.advance(last_id, outcome.dead)
                self._rows.cursor = last_id
            elif outcome.dead:
                await self._source.advance(self._rows.cursor, outcome.dead)
        except BaseException:
            self.drop()
            raise
        if self._resending is None:
            rest = self.pending[0].lines if self.pending else ()
            self.oldest_us = rest[0].time_us if rest else None

    async def _keep(self, ahead: asyncio.Future[Batch | None]) -> None:
        """Keep what was read ahead; what went wrong comes up again when these rows are the next."""
        await asyncio.wait((ahead,))
        if ahead.exception() is None and (batch := ahead.result()) is not None:
            self.pending.append(batch)

    async def _read_old(self) -> bool:
        while self._resends:
            batch = await self._resends[0].batch(self._rows.keeps)
            if batch is not None:
                self._resending = self._resends[0]
                self.pending.append(batch)
                return True
            self._resends.popleft()
        self._resending = None
        return False

    async def _read_new(self) -> bool:
        idle = await self._rows.look()
        if not idle:
            await self._rows.take_up()
        batch = None if idle else await self._rows.batch()
        if batch is None:
            # The newest rows were purged, if there are rows beyond the cursor.
            self._rows.last_row = self._rows.cursor
            self.oldest_us = None
            return False
        self.pending.append(batch)
        self.oldest_us = batch.lines[0].time_us if batch.lines else None
        return True
