"""Let go of what is old: raw events after some months, hourly roll-ups after some years, daily ones never.

What goes has been rolled up, and has been acknowledged by all followers of the store, up to the size cap. Past the cap
the oldest finished days go anyway, and what a follower has not acknowledged of them is counted for good.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from math import ceil
import sqlite3
import time
from typing import Final, NamedTuple

from ..model import Span
from ._integrity import size
from ._pace import Pace
from ._purging import (
    UNREPLICATED,
    delete_hours,
    delete_orphans,
    find_hours,
    find_old,
    find_orphans,
    give_pages_back,
    may_have_orphans,
    note_no_orphans,
    purge_rows,
)
from ._rollup import RollUps
from ._snapshots import read_in_thread
from ._store import Store
from ._times import from_column, to_column

_DAY_US: Final = 86_400_000_000
_GIB: Final = 1 << 30
_NEAR: Final = 0.9
_STEP_ROWS: Final = 500
_STEP_PAGES: Final = 256
_PAGE: Final = 10_000
# Rows that go at least before the size is measured again, and what part of all: finding what they alone referred to reads
# all of the store.
_ROUND_ROWS: Final = 1_000
_ROUND_SHARE: Final = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionPolicy:
    """Say for how many days raw events and hourly roll-ups are kept, and how many bytes the store may need."""

    raw_days: int = 90
    hour_days: int = 730
    max_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionReport:
    """Tell what one run did, and how the store stands.

    ``purged`` events were deleted; ``unreplicated`` says how many of them each follower had not acknowledged.
    ``size_bytes`` is what the files take on disk, ``used_bytes`` what of it holds data, which the cap is about.
    ``held_back_by`` names the followers for which events are kept that would go otherwise; with ``near_cap`` events
    that they have not acknowledged will go soon, with ``over_cap`` nothing more could be deleted.
    """

    purged: int
    unreplicated: Mapping[str, int]
    size_bytes: int
    used_bytes: int
    near_cap: bool
    over_cap: bool
    held_back_by: tuple[str, ...]


def default_cap(free_bytes: int) -> int:
    """Return how many bytes a store may need on a disk with so many free ones."""
    return min(2 * _GIB, free_bytes // 10)


class Retention:
    """Delete what is old, in steps between which others write; all methods raise StoreError as the store's do."""

    def __init__(self, store: Store, rollups: RollUps) -> None:
        """Take the store, and the roll-ups that must know of events before they go."""
        self._store = store
        self._rollups = rollups
        self._lock = asyncio.Lock()
        self._rows = Pace(_STEP_ROWS)
        self._texts = Pace(_STEP_ROWS)
        self._pages = Pace(_STEP_PAGES)

    async def run(self, now_us: int, policy: RetentionPolicy, acknowledged: Mapping[str, int]) -> RetentionReport:
        """Roll up, then delete what the policy does not keep.

        ``acknowledged`` says up to which row id each follower that counts has come.
        """
        async with self._lock:
            await self._rollups.update(now_us)
            cut_us = await self._cut_off(now_us - policy.raw_days * _DAY_US)
            done = _Done(acknowledged)
            await self._purge(cut_us, done, upto=done.slowest)
            await self._delete_hours(now_us - policy.hour_days * _DAY_US)
            await self._delete_orphans()
            if policy.max_bytes is not None:
                await self._purge_past(policy.max_bytes, await self._cut_off(now_us), done)
            return await self._report(now_us, cut_us, policy.max_bytes, done)

    async def purge_before(self, time_us: int, now_us: int, acknowledged: Mapping[str, int]) -> int:
        """Roll up, then delete the events of all days before the one around a time; return how many.

        For people who ask for it: nobody holds them back, but what a follower has not acknowledged is counted.
        """
        async with self._lock:
            await self._rollups.update(now_us)
            done = _Done(acknowledged)
            await self._purge(await self._cut_off(min(time_us, now_us)), done)
            await self._delete_orphans()
            return done.purged

    async def give_back(self, budget_s: float) -> int:
        """Give free pages back to the disk for about this many seconds; return how many bytes."""
        deadline = time.monotonic() + budget_s
        begun = left = await read_in_thread(self._store, _pages)
        while left.free and time.monotonic() < deadline:
            await self._pages.write(self._store.write, partial(give_pages_back, pages=self._pages.rows))
            before, left = left, await read_in_thread(self._store, _pages)
            if left.free >= before.free:
                # Events that were stored meanwhile need pages too; another time.
                break
        return max(0, begun.all - left.all) * begun.size

    async def _cut_off(self, time_us: int) -> int:
        """Return the start of the local day around a time, and of the hour in which that lies."""
        day_us, _ = await self._rollups.bucket(Span.DAY, time_us)
        hour_us, _ = await self._rollups.bucket(Span.HOUR, day_us)
        return hour_us

    async def _purge(self, before_us: int, done: _Done, *, upto: int | None = None, at_most: int | None = None) -> int:
        """Delete events that are older than a time, and stored up to a row id, oldest first; return how many."""
        last: tuple[int, int] | None = None
        deleted = 0
        while at_most is None or deleted < at_most:
            limit = _PAGE if at_most is None else min(_PAGE, at_most - deleted)
            find = partial(find_old, before_us=before_us, upto=upto, after=last, limit=limit)
            found = await read_in_thread(self._store, find)
            rest = [row_id for _, row_id in found]
            while rest:
                part, rest = rest[: self._rows.rows], rest[self._rows.rows :]
                step = await self._rows.write(
                    self._store.write,
                    partial(purge_rows, ids=part, before_us=before_us, acknowledged=done.acknowledged),
                )
                done.add(step)
                deleted += step["purged"]
            if len(found) < limit:
                break
            last = found[-1]
        return deleted

    async def _delete_orphans(self) -> None:
        """Delete texts, payloads and facts that no event refers to any more, if any may be left from whenever."""
        if not await read_in_thread(self._store, may_have_orphans):
            return
        async with self._store.reader() as reader:
            found = await find_orphans(reader)
        for orphans in found:
            rest = orphans.ids
            while rest:
                part, rest = rest[: self._texts.rows], rest[self._texts.rows :]
                work = partial(delete_orphans, orphans=orphans._replace(ids=part))
                await self._texts.write(self._store.write_forgetting, work)
        await self._store.write(note_no_orphans)

    async def _delete_hours(self, before_us: int) -> None:
        while found := await read_in_thread(self._store, partial(find_hours, before_us=before_us, limit=_PAGE)):
            while found:
                part, found = found[: self._rows.rows], found[self._rows.rows :]
                await self._rows.write(self._store.write, partial(delete_hours, keys=part))

    async def _purge_past(self, max_bytes: int, today_us: int, done: _Done) -> None:
        """Delete the oldest finished days until what is left fits, whoever has not acknowledged them."""
        while (figures := await read_in_thread(self._store, _measure)).used_bytes > max_bytes:
            rows = await read_in_thread(self._store, _count_events)
            share = max(_ROUND_SHARE, (figures.used_bytes - max_bytes) / figures.used_bytes)
            if not await self._purge(today_us, done, at_most=max(_ROUND_ROWS, ceil(rows * share))):
                return
            await self._delete_orphans()

    async def _report(self, now_us: int, cut_us: int, max_bytes: int | None, done: _Done) -> RetentionReport:
        figures = await read_in_thread(self._store, _measure)
        late = await read_in_thread(self._store, partial(_behind, before_us=cut_us, acknowledged=done.acknowledged))
        near = False
        if max_bytes is not None and figures.used_bytes >= _NEAR * max_bytes:
            # Past the cap the oldest go first: the oldest tenth is what may go soon.
            soon_us = max(cut_us, (9 * figures.oldest_us + now_us) // 10)
            soon = await read_in_thread(
                self._store, partial(_behind, before_us=soon_us, acknowledged=done.acknowledged)
            )
            late, near = soon, bool(soon)
        return RetentionReport(
            purged=done.purged,
            unreplicated=done.unreplicated,
            size_bytes=await asyncio.to_thread(size, self._store.path),
            used_bytes=figures.used_bytes,
            near_cap=near,
            over_cap=max_bytes is not None and figures.used_bytes > max_bytes,
            held_back_by=late,
        )


class _Done:
    """Add up what was deleted."""

    def __init__(self, acknowledged: Mapping[str, int]) -> None:
        self.acknowledged = acknowledged
        self.slowest = min(acknowledged.values(), default=None)
        self.purged = 0
        self.unreplicated: dict[str, int] = {}

    def add(self, step: Mapping[str, int]) -> None:
        self.purged += step["purged"]
        for name in self.acknowledged:
            if count := step[f"{UNREPLICATED}:{name}"]:
                self.unreplicated[name] = self.unreplicated.get(name, 0) + count


class _Figures(NamedTuple):
    used_bytes: int
    oldest_us: int


class _Pages(NamedTuple):
    all: int
    free: int
    size: int


def _pages(connection: sqlite3.Connection) -> _Pages:
    return _Pages(*(_pragma(connection, name) for name in ("page_count", "freelist_count", "page_size")))


def _measure(connection: sqlite3.Connection) -> _Figures:
    pages = _pages(connection)
    (row,) = connection.execute("SELECT COALESCE(MIN(at), 0) FROM events")
    return _Figures((pages.all - pages.free) * pages.size, from_column(row[0]))


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    (row,) = connection.execute(f"PRAGMA {name}")
    return int(row[0])


def _count_events(connection: sqlite3.Connection) -> int:
    (row,) = connection.execute("SELECT COUNT(*) FROM events")
    return int(row[0])


def _behind(connection: sqlite3.Connection, before_us: int, acknowledged: Mapping[str, int]) -> tuple[str, ...]:
    """Return who has not acknowledged all events before a time."""
    return tuple(
        name
        for name, row_id in sorted(acknowledged.items())
        if connection.execute(
            "SELECT 1 FROM events WHERE at < ? AND id > ? LIMIT 1", (to_column(before_us), row_id)
        ).fetchone()
    )
