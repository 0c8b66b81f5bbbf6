"""Read what is to be imported, from an export or from a store file, a batch of whole moments at a time."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final, Protocol

import aiosqlite

from ..model import Event, Json, TransferError
from ._connection import close, connect, translated
from ._forgotten import Forgotten, forgotten_of, to_forgotten
from ._migrations import identify
from ._reading import decode_rows
from ._rows import SELECT_EVENTS
from ._transfer_files import SQLITE_MAGIC, Batch, ExportReader, magic
from ._transfer_lines import ContentHash, span, to_event, to_record

# 500 events hold the writer for some 20 ms.
BATCH: Final = 500
_MOST_HELD: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceBatch:
    """Hold events that follow each other in time, the lines that were none, and how much was read with them."""

    events: list[Event]
    refused: int
    read: int


class Source(Protocol):
    """Be where events come from, in the order of their time."""

    name: str
    """Tells this content from any other."""
    total: int | None
    forgotten: Forgotten
    verified: bool
    """Whether, at its end, the source turned out to be whole."""
    content: ContentHash

    def batches(self) -> AsyncIterator[SourceBatch]:
        """Yield all events; those of one microsecond never stand in two batches."""
        ...


@asynccontextmanager
async def open_source(source: Path) -> AsyncIterator[Source]:
    """Open an export or a store file.

    Raises TransferError if it is neither, or is damaged or too new, and StoreError if it cannot be read.
    """
    with translated():
        first = await asyncio.to_thread(_magic, source)
        if first == SQLITE_MAGIC:
            async with _store_source(source) as store:
                yield store
            return
        reader = await asyncio.to_thread(ExportReader, source)
        try:
            yield _ExportSource(reader)
        finally:
            await asyncio.to_thread(reader.close)


class _ExportSource:
    def __init__(self, reader: ExportReader) -> None:
        self._reader = reader
        self.name = reader.name
        self.total = reader.total
        self.forgotten = to_forgotten(reader.header.get("forgotten"))
        self.verified = False
        self.content = ContentHash()

    async def batches(self) -> AsyncIterator[SourceBatch]:
        held: list[Event] = []
        while True:
            batch, events, refused = await asyncio.to_thread(self._next)
            read = len(batch.records) + batch.refused
            ended = batch.footer is not None or not read
            held += events
            whole = held if ended else held[: _last_moment(held)]
            yield SourceBatch(events=whole, refused=refused, read=read)
            if ended:
                self.verified = batch.footer is not None and self._fits(batch.footer)
                return
            held = held[len(whole) :]

    def _next(self) -> tuple[Batch, list[Event], int]:
        batch = self._reader.take(BATCH)
        self.content.add_records(batch.records)
        events: list[Event] = []
        refused = batch.refused
        for record in batch.records:
            try:
                events.append(to_event(record))
            except ValueError, TypeError:
                refused += 1
        return batch, events, refused

    def _fits(self, footer: Mapping[str, Json]) -> bool:
        return footer.get("events") == self.content.events and footer.get("sha256") == self.content.hexdigest()


class _StoreSource:
    def __init__(self, reader: aiosqlite.Connection, name: str, total: int | None, forgotten: Forgotten) -> None:
        self._reader = reader
        self.name = name
        self.total = total
        self.forgotten = forgotten
        self.verified = False
        self.content = ContentHash()

    async def batches(self) -> AsyncIterator[SourceBatch]:
        chosen = await span(self._reader)
        at, row_id = chosen.start, 0
        held: list[Event] = []
        while True:
            rows = list(await self._reader.execute_fetchall(_ROWS, (at, row_id, chosen.last, BATCH)))
            events = await decode_rows(rows)
            await asyncio.to_thread(self.content.add_records, list(map(to_record, events)))
            held += events
            ended = not rows
            whole = held if ended else held[: _last_moment(held)]
            yield SourceBatch(events=whole, refused=0, read=len(rows))
            if ended:
                self.verified = self.content.events == self.total
                return
            held = held[len(whole) :]
            at, row_id = rows[-1][1], rows[-1][0]


_ROWS: Final = f"""
{SELECT_EVENTS} WHERE e.id IN (
    SELECT id FROM events WHERE (at, id) > (?, ?) AND id <= ? ORDER BY at, id LIMIT ?
) ORDER BY e.at, e.id
"""


@asynccontextmanager
async def _store_source(source: Path) -> AsyncIterator[Source]:
    connection = await connect(source, read_only=True)
    try:
        if not await identify(connection):
            raise TransferError(f"{source} holds no store", field="path", value=str(source))
        await connection.execute_fetchall("BEGIN")
        (row,) = await connection.execute_fetchall("SELECT COUNT(*), MIN(id), MAX(id), MIN(at), MAX(at) FROM events")
        name = sha256(repr(tuple(row)).encode()).hexdigest()
        yield _StoreSource(connection, name, int(row[0]), await forgotten_of(connection))
    finally:
        await close(connection)


def _magic(source: Path) -> bytes:
    try:
        return magic(source)
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as err:
        raise TransferError(f"there is no file {source}", field="path", value=str(source)) from err


def _last_moment(events: list[Event]) -> int:
    """Return where the events of the last microsecond begin: more of them may follow."""
    index = len(events)
    if index > _MOST_HELD:
        return index
    while index and events[index - 1].time_us == events[-1].time_us:
        index -= 1
    return index
