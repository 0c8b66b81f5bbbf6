"""Keep events in one SQLite file: one writer, readers on connections of their own."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from itertools import batched
import logging
from pathlib import Path
import sqlite3
from typing import Final, override

import aiosqlite

from ..model import Event, EventPage, EventQuery, StoreDamagedError, StoreError
from ..ports import Clock, EventSink, HistoryReader
from ._connection import close, connect, is_damage, prepare_writer, to_store_error, transaction, translated
from ._dedupe import missing_of
from ._dimensions import Dimensions
from ._integrity import CHECK_BUDGET_S, FULL_CHECK_S, identity, quick_check, remove_unfinished, set_aside, size, swap
from ._lock import StoreLock
from ._migrations import identify, migrate
from ._purging import STEP_ROWS, delete_orphans, empty_wal, find_orphans, give_pages_back, purge_entity, purge_step
from ._reading import check_question, decode_rows, read_page
from ._rows import SELECT_EVENTS
from ._times import from_column, to_column
from ._unheard import forget_unheard, note_unheard, unheard_since
from ._writing import add_counters, next_row_id, put_meta, write_batch

_LOGGER = logging.getLogger(__name__)

# Times that a full disk or another program's lock needs to pass leave the connection as good as it was.
_PASSING: Final = frozenset({"disk_full", "locked"})
_EMPTY_WAL_TRIES: Final = 5
_READERS_LEAVE_S: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreStats:
    """Describe the store: rows held, times of the oldest and newest event (µs), bytes on disk, lifetime counters."""

    events: int
    oldest_us: int | None
    newest_us: int | None
    size_bytes: int
    counters: Mapping[str, int]


class Store(EventSink, HistoryReader):
    """Keep events; opened on the first use, and opened again after a fault.

    All methods run on the event loop and do their work in aiosqlite's thread. All raise StoreError; its ``reason``
    placeholder is one word: disk_full, read_only, locked, in_use, cannot_open, io_error, damaged, newer, closed or
    unknown. While it is open no other HomeIQ can open the same file.
    What is written is written to the end, also when the caller is cancelled meanwhile.
    """

    def __init__(
        self,
        path: Path,
        clock: Clock,
        *,
        on_set_aside: Callable[[Path], None] = lambda _: None,
        on_begun: Callable[[], None] = lambda: None,
    ) -> None:
        """Name the file; nothing is opened yet.

        ``on_set_aside`` is told at once where a damaged file went, ``on_begun`` that an empty file has taken the place
        of the one that was open, because that was damaged or is gone. Both are called on the event loop.
        """
        self.path = path
        self.clock = clock
        self._file_lock = StoreLock(path)
        self._on_set_aside = on_set_aside
        self._on_begun = on_begun
        self._lock = asyncio.Lock()
        self._writer: aiosqlite.Connection | None = None
        self._dimensions = Dimensions()
        self._next_id = 1
        self._closed = False
        self._aside: list[Path] = []
        self._tasks: set[asyncio.Task[object]] = set()
        # Which file the writer has open: one that was deleted or replaced under its name must not take events.
        self._opened: tuple[int, int] | None = None
        self._check_s: float | None = CHECK_BUDGET_S
        self._readers = 0
        self._readers_left = asyncio.Event()

    @property
    def set_aside(self) -> Sequence[Path]:
        """Return the damaged files that were set aside since this object was made, oldest first."""
        return tuple(self._aside)

    async def open(self) -> None:
        """Open the file, create or upgrade its schema and check it; a damaged file is set aside and a new one begun.

        Raises StoreError if the file cannot be opened now, StoreInUseError if another HomeIQ has it open and
        StoreNewerError if a newer HomeIQ wrote it.
        """
        await self.write(_nothing)

    async def close(self) -> None:
        """Commit the WAL into the file and close it; the store cannot be used after that."""
        self._closed = True
        await self._finish(self._close())

    @override
    async def append(
        self,
        events: Sequence[Event],
        counters: Mapping[str, int] | None = None,
        *,
        dedupe: bool = False,
        twins: bool = False,
    ) -> int:
        # With twins, an event offered n times is stored as often as it takes to have it n times.
        async def work(writer: aiosqlite.Connection) -> int:
            wanted = await missing_of(writer, events, twins=twins) if dedupe else events
            totals = {**(counters or {}), "stored": len(wanted), "duplicates": len(events) - len(wanted)}
            async with transaction(writer):
                await write_batch(writer, self._dimensions, wanted, self._next_id, totals)
            self._dimensions.commit()
            self._next_id += len(wanted)
            return len(wanted)

        return await self.write(work)

    async def count(self, counters: Mapping[str, int]) -> None:
        """Add increments to lifetime counters in a transaction of their own."""

        async def work(writer: aiosqlite.Connection) -> None:
            async with transaction(writer):
                await add_counters(writer, counters)

        await self.write(work)

    @override
    async def query(self, query: EventQuery) -> EventPage:
        check_question(query)
        async with self.reader() as reader:
            return await read_page(reader, query)

    async def stats(self) -> StoreStats:
        """Return figures about the store."""
        async with self.reader() as reader:
            (row,) = await reader.execute_fetchall("SELECT (SELECT MIN(at) FROM events), (SELECT MAX(at) FROM events)")
            rows = await reader.execute_fetchall("SELECT name, value FROM counters")
            size_bytes = await asyncio.to_thread(size, self.path)
        counters: dict[str, int] = {name: value for name, value in rows}  # noqa: C416 - a Row is no tuple to mypy
        return StoreStats(
            events=counters.get("stored", 0) - counters.get("purged", 0),
            oldest_us=None if row[0] is None else from_column(row[0]),
            newest_us=None if row[1] is None else from_column(row[1]),
            size_bytes=size_bytes,
            counters=counters,
        )

    async def counts_since(self, time_us: int) -> Mapping[str | None, int]:
        """Return how many events each entity has had since a time; None stands for events without an entity."""
        async with self.reader() as reader:
            rows = await reader.execute_fetchall(
                "SELECT n.key, COUNT(*) FROM events AS e LEFT JOIN entities AS n ON n.id = e.entity"
                " WHERE e.at >= ? GROUP BY e.entity",
                (to_column(time_us),),
            )
        return {row[0]: row[1] for row in rows}

    async def events_after(self, row_id: int, limit: int) -> Sequence[Event]:
        """Return up to ``limit`` events that were stored after the one with this row id, in the order of storing."""
        async with self.reader() as reader:
            rows = await reader.execute_fetchall(
                f"{SELECT_EVENTS} WHERE e.id > ? ORDER BY e.id LIMIT ?", (row_id, limit)
            )
            return await decode_rows(list(rows))

    async def last_row_id(self) -> int:
        """Return the row id of the event stored last, 0 if there never was one."""
        await self.open()
        return self._next_id - 1

    async def get_meta(self, name: str) -> str | None:
        """Return a remembered text, None if there is none of this name."""
        async with self.reader() as reader:
            rows = await reader.execute_fetchall("SELECT value FROM meta WHERE name = ?", (name,))
        return next((str(row[0]) for row in rows), None)

    async def set_meta(self, name: str, value: str) -> None:
        """Remember a text under a name."""

        async def work(writer: aiosqlite.Connection) -> None:
            async with transaction(writer):
                await put_meta(writer, name, value)

        await self.write(work)

    async def unheard_since(self) -> int | None:
        """Return since when (µs) events may be missing, because this object was not there; None if none are."""
        async with self.reader() as reader:
            return await unheard_since(reader)

    async def forget_unheard(self) -> None:
        """Note that what was missing has been fetched."""
        await self.write(forget_unheard)

    async def purge_before(self, time_us: int) -> int:
        """Delete all events older than a time, in small transactions between which others may write."""
        deleted = 0
        while step := await self.write(partial(purge_step, before_us=time_us)):
            deleted += step
        if not deleted:
            return 0
        async with self.reader() as reader:
            found = await find_orphans(reader)
        for orphans in found:
            for ids in batched(orphans.ids, STEP_ROWS, strict=False):
                await self.write_forgetting(partial(delete_orphans, orphans=orphans._replace(ids=ids)))
        while await self.write(give_pages_back):
            pass
        return deleted

    async def purge_entity(self, entity_id: str) -> tuple[int, int]:
        """Delete an entity's events and all mentions of it; return (events deleted, payloads of others changed).

        Raises StoreError with reason ``locked`` if a reader keeps what was deleted alive in the WAL; the events are
        gone then, and asking again cleans up.
        """
        report = await self.write_forgetting(partial(purge_entity, entity_id=entity_id))
        while await self.write(give_pages_back):
            pass
        for _ in range(_EMPTY_WAL_TRIES):
            if await self.write(empty_wal):
                return report
        raise StoreError("a reader is in the way of emptying the write-ahead log", reason="locked")

    async def execute(self, sql: str, *values: object) -> None:
        """Carry out one statement in a transaction of its own; for the other files of this room."""

        async def work(writer: aiosqlite.Connection) -> None:
            async with transaction(writer):
                await writer.execute(sql, values)

        await self.write(work)

    async def write[T](self, work: Callable[[aiosqlite.Connection], Awaitable[T]]) -> T:
        """Do work on the writer, alone and to its end; for the other files of this room."""
        return await self._finish(self._alone(work))

    async def write_forgetting[T](self, work: Callable[[aiosqlite.Connection], Awaitable[T]]) -> T:
        """Do work on the writer that may delete texts, so that none of them is taken for known any more."""

        async def forgetting(writer: aiosqlite.Connection) -> T:
            self._dimensions.forget()
            return await work(writer)

        return await self.write(forgetting)

    async def _finish[T](self, work: Awaitable[T]) -> T:
        """Wait for work that goes on if the wait is cancelled: SQLite's thread would not stop for it either."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            await asyncio.wait((task,))
        except asyncio.CancelledError:
            # Nobody will ask for its answer.
            task.add_done_callback(lambda done: done.cancelled() or done.exception())
            raise
        return task.result()

    async def _alone[T](self, work: Callable[[aiosqlite.Connection], Awaitable[T]]) -> T:
        async with self._lock:
            with translated():
                writer = await self._ensure_open()
                try:
                    return await work(writer)
                except BaseException as err:
                    await self._after_fault(writer, err)
                    raise

    async def _after_fault(self, writer: aiosqlite.Connection, err: BaseException) -> None:
        """Leave nothing half done, and open anew next time if the connection may be the reason."""
        self._dimensions.rollback()
        reason = to_store_error(err).placeholders["reason"] if isinstance(err, sqlite3.Error) else None
        if reason == "io_error":
            self._check_s = CHECK_BUDGET_S
        try:
            if is_damage(err):
                await self._set_aside()
        finally:
            if reason not in _PASSING or writer.in_transaction:
                await self._drop_writer()

    @asynccontextmanager
    async def reader(self) -> AsyncIterator[aiosqlite.Connection]:
        """Give a read-only connection, for the other files of this room; it sees what was committed before it was opened."""
        with translated():
            while self._writer is None or self._closed:
                await self.open()
            self._readers += 1
            try:
                async with self._read_only() as reader:
                    yield reader
            finally:
                self._readers -= 1
                self._readers_left.set()

    @asynccontextmanager
    async def _read_only(self) -> AsyncIterator[aiosqlite.Connection]:
        reader = await connect(self.path, read_only=True)
        try:
            yield reader
        except asyncio.CancelledError:
            await reader.interrupt()
            raise
        except sqlite3.DatabaseError as err:
            if is_damage(err):
                self.suspect_damage()
            raise
        finally:
            await close(reader)

    async def _ensure_open(self) -> aiosqlite.Connection:
        if self._closed:
            raise StoreError("the store is closed", reason="closed")
        if self._writer is not None:
            if self._check_s is None and await asyncio.to_thread(identity, self.path) == self._opened:
                return self._writer
            # SQLite does not write the log into a file that was moved, and would read it into the one now in its place.
            with suppress(sqlite3.Error):
                await empty_wal(self._writer)
            await self._drop_writer()
        await asyncio.to_thread(self.path.parent.mkdir, parents=True, exist_ok=True)
        if await asyncio.to_thread(self._file_lock.acquire):
            await asyncio.to_thread(remove_unfinished, self.path)
        asides, found = len(self._aside), await asyncio.to_thread(identity, self.path)
        try:
            self._writer = await self._open_checked()
        except (StoreDamagedError, sqlite3.DatabaseError) as err:
            if not is_damage(err):
                raise
            self._writer = await self._open_checked()
        another = self._opened is not None and (found != self._opened or len(self._aside) > asides)
        self._opened = await asyncio.to_thread(identity, self.path)
        self._check_s = None
        if another and self._next_id == 1:
            _LOGGER.warning("A new, empty store was begun at %s", self.path)
            self._on_begun()
        return self._writer

    async def _open_checked(self) -> aiosqlite.Connection:
        connection = await connect(self.path)
        try:
            # A file that is not ours, or too new for us, is not even switched to WAL.
            await identify(connection)
            await prepare_writer(connection)
            await migrate(connection, self.clock.now_us())
            if self._check_s is not None:
                await quick_check(connection, self._check_s)
            await self._dimensions.load(connection)
            self._next_id = await next_row_id(connection)
            if self._opened is None:
                await note_unheard(connection, self.clock.now_us())
        except BaseException as err:
            try:
                if is_damage(err):
                    await self._set_aside()
            finally:
                await close(connection)
            raise
        return connection

    async def _set_aside(self) -> None:
        """Rename the damaged files; before the connection is closed, or SQLite would delete the write-ahead log."""
        aside = await asyncio.to_thread(set_aside, self.path, self.clock.now_us())
        self._aside.append(aside)
        self._check_s = CHECK_BUDGET_S
        _LOGGER.warning("The store is damaged and was set aside as %s", aside)
        self._on_set_aside(aside)

    def suspect_damage(self) -> None:
        """Look at the whole file before the next write, and set it aside if its structure is broken."""
        self._check_s = FULL_CHECK_S

    async def replace_with(self, path: Path, *, last: Callable[[], Awaitable[None]]) -> Path:
        """Put another store's file in this one's place and return where the file that was open is kept.

        The other file must be closed and complete once ``last`` has run, which runs while nothing is being written.
        At every moment there is a whole store under this store's name: the old one until, at one stroke, the new one.
        Raises StoreError with reason ``locked`` if a reader does not leave within ten seconds; nothing has changed then.
        """
        return await self._finish(self._replace(path, last))

    async def _replace(self, path: Path, last: Callable[[], Awaitable[None]]) -> Path:
        async with self._lock:
            with translated():
                writer = await self._ensure_open()
                await last()
                self._writer = None
                try:
                    # Whoever wants to read from here on waits for the new file.
                    await self._no_readers()
                    if not await empty_wal(writer):
                        raise StoreError("a reader is in the way of replacing the store", reason="locked")
                finally:
                    await close(writer)
                before = await asyncio.to_thread(swap, path, self.path, self.clock.now_us())
                self._opened = await asyncio.to_thread(identity, self.path)
                return before

    async def _no_readers(self) -> None:
        try:
            async with asyncio.timeout(_READERS_LEAVE_S):
                while self._readers:
                    self._readers_left.clear()
                    await self._readers_left.wait()
        except TimeoutError as err:
            raise StoreError("a reader is in the way of replacing the store", reason="locked") from err

    async def _close(self) -> None:
        async with self._lock:
            await self._drop_writer()
            await asyncio.to_thread(self._file_lock.release)

    async def _drop_writer(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            await close(writer)


async def _nothing(writer: aiosqlite.Connection) -> None:
    """Need nothing but an open writer."""
