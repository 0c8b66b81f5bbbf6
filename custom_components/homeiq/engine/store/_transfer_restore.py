"""Put the content of an export or of another store file in the place of the store's.

The new store is built beside the old one and verified before anything is replaced; see Store.replace_with for the swap.
"""

import asyncio
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import aiosqlite
import orjson

from ..model import BusyError, TransferError
from ._connection import transaction, translated
from ._forgotten import Forgotten, forget_all, forgotten_entities, purge_forgotten
from ._integrity import is_same, remove_unfinished, restoring_path
from ._purging import empty_wal
from ._reading import decode_rows
from ._rows import SELECT_EVENTS
from ._store import Store
from ._transfer_copy import copy_store
from ._transfer_export import Progress, content_hash, no_progress
from ._transfer_files import SQLITE_MAGIC, magic
from ._transfer_lines import ContentHash, to_record
from ._transfer_sources import BATCH, open_source
from ._unheard import note_unheard
from ._writing import next_row_id, set_last_row_id

_UNDER_WAY: Final[set[Path]] = set()


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreReport:
    """Say what a restore did.

    ``events`` were in the source, ``forgotten`` of them were left out because their entity was forgotten since,
    ``carried_over`` arrived in the store meanwhile and were kept; ``sha256`` is the content hash of the source's
    events. ``before`` is the file that was the store until then.
    """

    events: int
    forgotten: int
    carried_over: int
    sha256: str
    before: Path


async def restore(store: Store, source: Path, *, progress: Progress = no_progress) -> RestoreReport:
    """Replace the store's content by that of an export or of a store file.

    What the store receives while this runs is kept, and followers start again where they were in the source, new ones
    at its beginning. Whoever holds row ids in memory must ask for them anew afterwards. Until the swap, nothing
    changes: raises TransferError for a file that is neither, incomplete or changed, StoreDamagedError for a damaged
    store file (see salvage), StoreNewerError for one of a newer HomeIQ, BusyError if a restore is under way, and
    StoreError for trouble with disk or store.
    """
    path = store.path
    if path in _UNDER_WAY:
        raise BusyError("a restore is under way")
    _UNDER_WAY.add(path)
    try:
        return await _Restore(store, source, progress).run()
    finally:
        _UNDER_WAY.discard(path)


class _Restore:
    def __init__(self, store: Store, source: Path, progress: Progress) -> None:
        self._store = store
        self._source = source
        self._progress = progress
        self._path = restoring_path(store.path)
        self._forgotten: Forgotten = {}
        self._carried = 0

    async def run(self) -> RestoreReport:
        with translated():
            first = await asyncio.to_thread(self._look)
            self._mark = await self._store.last_row_id()
            await asyncio.to_thread(remove_unfinished, self._store.path)
            new = Store(self._path, self._store.clock)
            try:
                if first == SQLITE_MAGIC:
                    events, digest = await copy_store(self._source, self._path, self._progress)
                else:
                    events, digest = await self._fill(new)
                await new.write(self._settle)
                gone = await self._forget(new)
                await self._carry_over(new)
                # The swap has to wait for little then.
                await new.write(empty_wal)
                before = await self._store.replace_with(self._path, last=lambda: self._last(new))
            except BaseException:
                await new.close()
                raise
            finally:
                await asyncio.to_thread(remove_unfinished, self._store.path)
        return RestoreReport(events=events, forgotten=gone, carried_over=self._carried, sha256=digest, before=before)

    def _look(self) -> bytes:
        try:
            first = magic(self._source)
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as err:
            raise self._refused("there is no such file") from err
        if is_same(self._source, self._store.path):
            raise self._refused("this is the store itself")
        return first

    async def _fill(self, new: Store) -> tuple[int, str]:
        """Fill an empty store from an export and compare what is in it with what was exported."""
        wanted = ContentHash()
        async with open_source(self._source) as source:
            async for batch in source.batches():
                if batch.refused:
                    raise self._refused("a line is no event")
                await new.append(batch.events)
                await asyncio.to_thread(wanted.add_records, list(map(to_record, batch.events)))
                self._progress(wanted.events, source.total)
            if not source.verified:
                raise self._refused("the export is incomplete or was changed")
            await forget_all(new, source.forgotten)
        async with new.reader() as reader:
            found = await content_hash(reader)
        if found != (wanted.events, wanted.hexdigest()):
            raise self._refused("what was stored is not what was read")
        return found

    async def _settle(self, writer: aiosqlite.Connection) -> None:
        """Note in the new store what it must know of the old one."""
        followers = await self._followers()
        async with transaction(writer):
            # What happened between the source and now can still be fetched from the recorder.
            await note_unheard(writer, self._store.clock.now_us())
            await writer.execute(
                "DELETE FROM cursors WHERE name NOT IN (SELECT value FROM json_each(?))",
                (orjson.dumps(followers).decode(),),
            )
            await writer.execute(
                "INSERT OR IGNORE INTO cursors (name, row_id) SELECT value, 0 FROM json_each(?)",
                (orjson.dumps(followers).decode(),),
            )

    async def _followers(self) -> list[str]:
        async with self._store.reader() as reader:
            return [str(row[0]) for row in await reader.execute_fetchall("SELECT name FROM cursors")]

    async def _forget(self, new: Store) -> int:
        """Delete from the new store what the old one has forgotten, and remember it there."""
        forgotten = await forgotten_entities(self._store)
        if forgotten == self._forgotten:
            return 0
        self._forgotten = forgotten
        await forget_all(new, forgotten)
        return await purge_forgotten(new, await forgotten_entities(new))

    async def _carry_over(self, new: Store) -> int:
        """Copy what the old store received since this began; return how many the last batch had."""
        while True:
            async with self._store.reader() as reader:
                rows = await reader.execute_fetchall(
                    f"{SELECT_EVENTS} WHERE e.id > ? ORDER BY e.id LIMIT ?", (self._mark, BATCH)
                )
                events = await decode_rows(list(rows))
            if events:
                await new.append(events)
                self._mark = events[-1].id or self._mark
                self._carried += len(events)
            if len(events) < BATCH:
                return len(events)

    async def _last(self, new: Store) -> None:
        """Take over what came last, while nothing more can come, and close the new store's file."""
        await self._forget(new)
        await self._carry_over(new)
        async with self._store.reader() as reader:
            last = await next_row_id(reader) - 1
        await new.write(partial(_number_from, last=last))
        await new.close()

    def _refused(self, message: str) -> TransferError:
        return TransferError(f"{self._source}: {message}", field="path", value=str(self._source))


async def _number_from(writer: aiosqlite.Connection, last: int) -> None:
    """Never give a row id again that the old store has given: followers may still hold it in memory."""
    async with transaction(writer):
        await set_last_row_id(writer, max(last, await next_row_id(writer) - 1))
