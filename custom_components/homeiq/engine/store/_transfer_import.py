"""Bring events from an export or another store file into the store, nothing twice."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiosqlite

from ..model import TransferError
from ._connection import transaction
from ._forgotten import clean, forgotten_entities
from ._integrity import is_same
from ._store import Store
from ._transfer_export import Progress, no_progress
from ._transfer_sources import open_source

_META: Final = "import:"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportReport:
    """Say what became of the events of a file.

    ``read`` = ``stored`` + ``duplicates`` + ``forgotten`` + ``refused`` + ``resumed``: stored anew, there already, left
    out because their entity was forgotten, no events of this version, done by an earlier run that was interrupted.
    ``verified`` says whether the file was as it had been written, by the count and the hash at its end.
    """

    read: int
    stored: int
    duplicates: int
    forgotten: int
    refused: int
    resumed: int
    verified: bool


async def import_events(store: Store, source: Path, *, progress: Progress = no_progress) -> ImportReport:
    """Store the events of an export or a store file that are not there yet, in small batches between live ones.

    Two events are the same if entity, time, kind and state are; an event that the file has twice is there twice
    afterwards. An interrupted import goes on where it was when it is asked for again. Of a damaged file everything
    before the damage is stored; then TransferError is raised, as for a file that is neither. Raises StoreError if the
    store or the file could not be used; what was stored until then stays.
    """
    if await asyncio.to_thread(is_same, source, store.path):
        raise TransferError("the store cannot be imported into itself", field="path", value=str(source))
    forgotten = await forgotten_entities(store)
    read = stored = duplicates = gone = refused = 0
    async with open_source(source) as opened:
        name = _META + opened.name
        done_before = int(await store.get_meta(name) or 0)
        position = 0
        async for batch in opened.batches():
            read += batch.read
            refused += batch.refused
            position += len(batch.events)
            if position > done_before and batch.events:
                kept = [event for one in batch.events if (event := clean(one, forgotten)) is not None]
                gone += len(batch.events) - len(kept)
                new = await store.append(kept, dedupe=True, twins=True)
                stored += new
                duplicates += len(kept) - new
                await store.set_meta(name, str(position))
            progress(read, opened.total)
        verified = opened.verified and not refused
    await _forget_position(store, name)
    return ImportReport(
        read=read,
        stored=stored,
        duplicates=duplicates,
        forgotten=gone,
        refused=refused,
        resumed=read - stored - duplicates - gone - refused,
        verified=verified,
    )


async def _forget_position(store: Store, name: str) -> None:
    async def work(writer: aiosqlite.Connection) -> None:
        async with transaction(writer):
            await writer.execute("DELETE FROM meta WHERE name = ?", (name,))

    await store.write(work)
