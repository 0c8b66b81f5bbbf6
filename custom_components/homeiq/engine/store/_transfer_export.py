"""Write events into a file that any HomeIQ can read again."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import aiosqlite

from ..model import Json, TransferError
from ._forgotten import forgotten_entities
from ._migrations import SCHEMA_VERSION
from ._store import Store
from ._transfer_files import FORMAT, ExportForm, ExportWriter
from ._transfer_lines import ContentHash, Page, Span, read_lines, span

type Progress = Callable[[int, int | None], None]
"""Is told, on the event loop, how many events are done and of how many, None where that is not known."""

# About 250 kB of lines; at 16 kB of payload each, the most there can be, 8 MB.
PAGE: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportReport:
    """Say what was exported: events, size of the file in bytes, content hash of the events."""

    events: int
    bytes: int
    sha256: str


def no_progress(done: int, total: int | None) -> None:
    """Tell nobody."""


async def export_events(
    store: Store,
    target: Path,
    *,
    start_us: int | None = None,
    end_us: int | None = None,
    form: ExportForm = ExportForm.JSONL_ZST,
    progress: Progress = no_progress,
) -> ExportReport:
    """Write the events of [start_us, end_us) that are stored now into a new file, in the order of their time.

    The file has its name only when it is whole; cancelled or failed, nothing is left. An entity that is purged
    meanwhile is not in the part that is written after that. Raises TransferError for a target that is there already,
    BusyError if it is being written and StoreError for trouble with the store or the disk.
    """
    if start_us is not None and end_us is not None and end_us <= start_us:
        raise TransferError("the range ends before it begins", field="end", value=str(end_us))
    forgotten = await forgotten_entities(store)
    async with store.reader() as reader:
        chosen = await span(reader, start_us, end_us)
        total, entities = await _count(reader, chosen)
        header: Mapping[str, Json] = {
            "homeiq_export": FORMAT,
            "schema": SCHEMA_VERSION,
            "from": start_us,
            "to": end_us,
            "made": store.clock.now_us(),
            "events": total,
            "entities": entities,
            "forgotten": dict(forgotten),
        }
        writer = await asyncio.to_thread(ExportWriter, target, form, header)
        content, end = ContentHash(), None

        def add(page: Page) -> None:
            content.add_page(page.hashed)
            writer.add(page.lines or "")

        try:
            while page := await read_lines(reader, chosen, end, PAGE, "csv" if form.is_csv else "jsonl"):
                end = page.end
                await _in_thread(partial(add, page))
                progress(content.events, total)
            digest = content.hexdigest()
            size = await _in_thread(partial(writer.close, {"events": content.events, "sha256": digest}))
        except BaseException:
            await asyncio.to_thread(writer.discard)
            raise
    return ExportReport(events=content.events, bytes=size, sha256=digest)


async def _in_thread[T](work: Callable[[], T]) -> T:
    """Do work in a thread and wait for its end also when cancelled: the file must not be closed under it."""
    task = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait((task,))
        raise


async def _count(reader: aiosqlite.Connection, chosen: Span) -> tuple[int, int]:
    (row,) = await reader.execute_fetchall(
        "SELECT COUNT(*), COUNT(DISTINCT entity) FROM events WHERE at >= ? AND at < ? AND id <= ?", chosen
    )
    return int(row[0]), int(row[1])


async def content_hash(
    reader: aiosqlite.Connection, *, start_us: int | None = None, end_us: int | None = None
) -> tuple[int, str]:
    """Return how many events a store holds and their content hash, equal for equal events however they are stored."""
    content, end = ContentHash(), None
    chosen = await span(reader, start_us, end_us)
    while page := await read_lines(reader, chosen, end, PAGE):
        end = page.end
        await asyncio.to_thread(content.add_page, page.hashed)
    return content.events, content.hexdigest()
