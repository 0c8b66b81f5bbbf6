"""Read a source's rows as batches: the new ones after the cursor, or a span of time once more."""

import asyncio
from collections.abc import Callable
import logging
from typing import Final

from ..model import Event
from ._batch import Batch
from ._encoding import WINDOW, LineEncoder, keep_all
from ._settings import InfluxSettings
from ._source import ReplicaSource

BATCH: Final = 5000
"""Events read and sent at a time."""

_LOGGER: Final = logging.getLogger(__name__)


class NewRows:
    """Read on from the cursor."""

    def __init__(self, source: ReplicaSource, settings: InfluxSettings, title: str) -> None:
        """Take what to read; nothing is read yet."""
        self._source = source
        self._settings = settings
        self._title = title
        self._encoder: LineEncoder | None = None
        self.keeps: Callable[[Event], bool] = keep_all
        self.cursor = 0
        self.last_row = 0
        # What was read and encoded, but is perhaps not settled.
        self._read_to = 0
        self._forgotten = 0

    @property
    def more(self) -> bool:
        """Return whether there were rows that have not been read, when the source was last looked at."""
        return self._encoder is not None and self._read_to < self.last_row

    def forget(self) -> None:
        """Read anew after the cursor: what was read before, or is being read, may be gone or wanted no longer."""
        self._forgotten += 1
        self._encoder = None

    async def look(self) -> bool:
        """Look how far the source is; return whether that is where this has come to, so that nothing is new."""
        self.last_row = await self._source.last_row_id()
        return self._encoder is not None and self.cursor == self.last_row

    async def take_up(self) -> bool:
        """Take up the persisted cursor; return whether it is another than before, so that what was read is void.

        Read every time: a store that was damaged and begun anew has lost the cursor and counts its rows from 1.
        """
        cursor = await self._source.cursor()
        if cursor is not None and cursor > self.last_row:
            _LOGGER.info("The store is not the one that the replica %s followed: it starts over", self._title)
            cursor = None
        if cursor is None:
            cursor = await self._start()
        elif self._encoder is not None and cursor == self.cursor:
            return False
        self.cursor = self._read_to = cursor
        encoder = LineEncoder(self._settings, self.keeps)
        before = await self._source.events_after(max(0, cursor - WINDOW), WINDOW)
        primer = [event for event in before if event.id is not None and event.id <= cursor]
        await asyncio.to_thread(encoder.prime, primer)
        self._encoder = encoder
        return True

    async def batch(self) -> Batch | None:
        """Return the next batch after the cursor and what was read since, None if there are no rows."""
        encoder, self._encoder = self._encoder, None
        assert encoder is not None
        forgotten = self._forgotten
        events = await self._source.events_after(self._read_to, BATCH)
        # An encoder that was interrupted has counted rows that it will see again; it stays away then.
        batch = await asyncio.to_thread(encoder.encode, events) if events else None
        if forgotten != self._forgotten:
            return None
        self._encoder = encoder
        self._read_to = self._read_to if batch is None else batch.last_id
        return batch

    async def _start(self) -> int:
        """Persist where to begin, so that from now on nothing is purged that was not delivered."""
        cursor = 0
        if (since_us := self._settings.since_us) is not None:
            first = await self._source.first_row_since(since_us)
            cursor = self.last_row if first is None else first - 1
        await self._source.rewind(cursor)
        return cursor


class OldRows:
    """Read a span of time once more, up to the row that was the cursor's."""

    def __init__(
        self, source: ReplicaSource, settings: InfluxSettings, start_us: int, end_us: int, last_row: int
    ) -> None:
        """Take the span (start <= time < end) and the last row."""
        self._source = source
        self._settings = settings
        self._span = (start_us, end_us)
        self._last_row = last_row
        self._encoder: LineEncoder | None = None
        self._row = 0

    def forget(self) -> None:
        """Begin again: sending twice does no harm, and only from its start on are twins told apart as at first."""
        self._encoder = None

    async def batch(self, keeps: Callable[[Event], bool]) -> Batch | None:
        """Return the next batch, None at the end."""
        if self._encoder is None:
            # Twins are of one time, so all of them are in the span and nothing need be primed.
            self._encoder = LineEncoder(self._settings, keeps)
            first = await self._source.first_row_since(self._span[0])
            self._row = self._last_row if first is None else first - 1
        encoder, self._encoder = self._encoder, None
        events = [
            event
            for event in await self._source.events_in(*self._span, self._row, BATCH)
            if event.id is not None and event.id <= self._last_row
        ]
        batch = await asyncio.to_thread(encoder.encode, events) if events else None
        if batch is not None:
            self._row = batch.last_id
        self._encoder = encoder
        return batch
