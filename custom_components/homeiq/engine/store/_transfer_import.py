"""Bring events from an export or another store file into the store, nothing twice."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ..model import TransferError
from ._forgotten import Forgotten, clean, forgotten_entities, purge_forgotten
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
        deleted = await _deleted(store)
        done_before = await _position(store, name, deleted)
        position = 0
        try:
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
                    await store.set_meta(name, f"{position}:{deleted}")
                    forgotten = await _heed(store, forgotten)
                progress(read, opened.total)
        except TransferError:
            # Not interrupted: the file is damaged, and a sound copy of it must be read from its beginning.
            await _forget_position(store, name)
            raise
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


async def _position(store: Store, name: str, deleted: int) -> int:
    """Return how far an import that was interrupted had come, 0 if something has been deleted since it began."""
    position, _, then = (await store.get_meta(name) or "").partition(":")
    return int(position) if position and then == str(deleted) else 0


async def _deleted(store: Store) -> int:
    """Return how many events have ever been deleted."""
    return (await store.stats()).counters.get("purged", 0)


async def _heed(store: Store, known: Forgotten) -> Forgotten:
    """Return what is forgotten by now; what was forgotten while a batch was on its way is deleted once more."""
    forgotten = await forgotten_entities(store)
    if newly := {name: time_us for name, time_us in forgotten.items() if known.get(name) != time_us}:
        await purge_forgotten(store, newly)
    return forgotten


async def _forget_position(store: Store, name: str) -> None:
    await store.execute("DELETE FROM meta WHERE name = ?", name)
