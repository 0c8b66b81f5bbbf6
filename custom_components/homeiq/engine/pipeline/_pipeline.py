"""Move events from the buffer into the sink: in order, in batches, and never dropping one because a commit failed."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from itertools import batched, chain, repeat
import logging
import time
from typing import Final

from ..model import Event, StoreError
from ..ports import Clock, EntityFactsSource, EventDecoder, EventSink
from ._buffer import BUFFER_LIMIT, EventBuffer, LogBuffer
from ._enrich import Enricher
from ._filter import FilterSettings
from ._metrics import Metrics, PipelineStats

_LOGGER = logging.getLogger(__name__)

BATCH_AGE_S: Final = 1.0
BATCH_SIZE: Final = 5_000
# A slice holds the GIL for about 0.5 ms; between slices the event loop may run.
_SLICE: Final = 64
_RETRY_S: Final = (1.0, 2.0, 5.0, 10.0, 30.0)
_STOP_RETRY_S: Final = (0.1, 1.0, 2.0, 5.0)
_STOP_S: Final = 10.0
# Of losses that follow each other the first is told at once; the figures, read every minute, show the rest.
_LOSS_TOLD_S: Final = 60.0


class Pipeline:
    """Own the buffer and the task that empties it.

    All methods run on the event loop. ``on_change`` is called whenever commits begin to fail, pass again, events
    begin to be lost, or the buffer begins to lose or to keep them again.
    """

    def __init__(
        self,
        *,
        sink: EventSink,
        decoder: EventDecoder,
        facts: EntityFactsSource,
        clock: Clock,
        settings: FilterSettings,
        started: bool,
        on_change: Callable[[], None] = lambda: None,
        on_stored: Callable[[], None] = lambda: None,
        limit: int = BUFFER_LIMIT,
    ) -> None:
        """Put the parts together; nothing runs before ``start``."""
        self._sink = sink
        self._facts = facts
        self._clock = clock
        self._on_change = on_change
        self._on_stored = on_stored
        self._wake = asyncio.Event()
        self.buffer = EventBuffer(limit, wake_at=BATCH_SIZE, wake=self._wake.set)
        self.logs = LogBuffer()
        self.metrics = Metrics()
        self._enricher = Enricher(decoder, settings, started=started)
        self._settings = settings
        self._lock = asyncio.Lock()
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._work: set[asyncio.Task[None]] = set()
        # What was taken from the buffers and is not enriched yet, then as events in parts that are committed each.
        self._items: Sequence[object] = ()
        self._parts: deque[Sequence[Event]] = deque()
        self._counters: dict[str, int] = {}
        self._totals = dict.fromkeys(("stored", "filtered", "attribute_only", "logs_lost"), 0)
        self._lost_in_hand = 0
        self._lost_counted = 0
        self._lost_seen = 0
        self._lost_at: float | None = None
        self._overflow_seen = 0
        self._losing = False
        self._failing: str | None = None
        self._lost_before_failing = 0

    @property
    def failing(self) -> str | None:
        """Return the one-word reason why commits fail now, None while they pass."""
        return self._failing

    @property
    def losing(self) -> bool:
        """Return whether the buffer overflowed and has not yet been below half of its size at a commit since."""
        return self._losing

    @property
    def lost(self) -> int:
        """Return how many events were lost since this pipeline was made."""
        return self.buffer.lost + self._lost_in_hand

    @property
    def depth(self) -> int:
        """Return how many events wait, the ones that are being committed included."""
        return len(self.buffer) + len(self._items) + sum(map(len, self._parts))

    def start(self) -> None:
        """Start the task that empties the buffer."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name="homeiq pipeline")

    def use_settings(self, settings: FilterSettings) -> None:
        """Take another filter; events that wait in the buffer are judged by it too."""
        # A thread may be at work with the present one.
        self._settings = settings

    async def flush(self) -> int:
        """Commit everything that waits now and return how many events were stored.

        Raises StoreError if a commit failed; the events go on waiting.
        """
        before = self._totals["stored"]
        await self._drain()
        return self._totals["stored"] - before

    async def stop(self, deadline_s: float = _STOP_S) -> None:
        """Commit what waits, trying for at most ``deadline_s`` seconds, and end; what could not be kept is counted."""
        self._stopping.set()
        self._wake.set()
        task, self._task = self._task, None
        if task is not None:
            await asyncio.wait((task,))
        deadline = self._clock.monotonic() + deadline_s
        delays = chain(_STOP_RETRY_S, repeat(_STOP_RETRY_S[-1]))
        while True:
            try:
                await self._drain()
            except StoreError:
                remaining = deadline - self._clock.monotonic()
                if remaining <= 0:
                    self._abandon()
                    return
                await asyncio.sleep(min(next(delays), remaining))
            else:
                return

    def _abandon(self) -> None:
        abandoned = self.depth
        if not abandoned:
            return
        self._lost_in_hand += abandoned
        self._items = ()
        self._parts.clear()
        self.buffer.take(len(self.buffer))
        _LOGGER.error("%d events could not be stored before the end (%s) and are lost", abandoned, self._failing)

    def stats(self) -> PipelineStats:
        """Return figures of this moment."""
        now = self._clock.monotonic()
        metrics = self.metrics
        return PipelineStats(
            received=self.buffer.received,
            stored=self._totals["stored"],
            lost=self.lost,
            lost_uncounted=self.lost - self._lost_counted,
            lost_age_s=None if self._lost_at is None else now - self._lost_at,
            filtered=self._totals["filtered"],
            attribute_only=self._totals["attribute_only"],
            logs_lost=self._totals["logs_lost"],
            buffer_depth=self.depth,
            buffer_limit=self.buffer.limit,
            per_minute=metrics.per_minute(now),
            write_p95_ms=metrics.write_p95_ms(),
            last_commit_age_s=None if metrics.last_commit is None else now - metrics.last_commit,
            failing=self._failing,
            quiet_s=metrics.quiet_s(now),
            usual_gap_s=metrics.usual_gap_s(),
            today=metrics.today(),
            noisiest=metrics.noisiest(),
        )

    async def begin_day(self, start_us: int, count: Callable[[], Awaitable[Mapping[str | None, int]]]) -> None:
        """Count the day's events anew from ``start_us``, beginning with those that ``count`` finds stored.

        No commit happens in between, so no event is counted twice or not at all. Raises what ``count`` raises.
        """
        async with self._lock:
            self.metrics.begin_day(start_us, await count())

    async def store_now(self, items: Sequence[object], enricher: Enricher) -> int:
        """Store items that did not come by the buffer (back-fill), leaving out what is there already.

        Raises StoreError if the commit failed.
        """
        counters: dict[str, int] = {}
        enricher.use_facts(self._facts.snapshot())
        events = await asyncio.to_thread(_events_of, items, enricher, counters)
        self._lost_in_hand += counters.get("unreadable", 0)
        parts: deque[Sequence[Event]] = deque([events])
        stored = 0
        while parts:
            part = parts[0]
            try:
                stored += await self._sink.append(part, dedupe=True)
            except StoreError:
                raise
            except Exception as err:  # noqa: BLE001 - the sink is a plug-in; the event at fault is logged
                await self._isolate(parts, err)
            else:
                parts.popleft()
        return stored

    async def _run(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            pause, delay = (
                (self._stopping, _RETRY_S[min(failures, len(_RETRY_S)) - 1]) if failures else (self._wake, BATCH_AGE_S)
            )
            with suppress(TimeoutError):
                async with asyncio.timeout(delay):
                    await pause.wait()
            self._wake.clear()
            try:
                await self._drain()
            except StoreError:
                failures += 1
            else:
                failures = 0
                if len(self.buffer) >= BATCH_SIZE:
                    # More came meanwhile than makes a batch, and the buffer wakes only when it reaches that.
                    self._wake.set()

    async def _drain(self) -> None:
        """Commit all that waits now; raises StoreError if something could not be committed.

        The work is a task of its own and goes on if the caller is cancelled: SQLite's thread would not stop for it
        either, and nobody would know whether the batch was stored.
        """
        task = asyncio.get_running_loop().create_task(self._drain_alone(), name="homeiq commit")
        self._work.add(task)
        task.add_done_callback(self._work.discard)
        # Nobody may be left to ask for its answer.
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        await asyncio.wait((task,))
        task.result()

    async def _drain_alone(self) -> None:
        async with self._lock:
            target = self.buffer.received
            self._watch_overflow()
            self._note_losses()
            try:
                while True:
                    if not self._parts:
                        await self._make_batch()
                    await self._deliver()
                    if self.buffer.received - len(self.buffer) >= target:
                        break
            except StoreError as err:
                self._fail(err)
                raise
            except Exception as err:
                if self._failing is None:
                    _LOGGER.exception("Events cannot be handed to the store; they wait")
                failure = StoreError(str(err), reason="unknown")
                self._fail(failure)
                raise failure from err
            finally:
                self._note_losses()

    async def _make_batch(self) -> None:
        """Turn the next items of the buffers into a batch in hand; nothing leaves our hands if this fails."""
        if not self._items:
            items = self.buffer.take(BATCH_SIZE)
            logs, logs_lost = self.logs.take()
            self._items = [*items, *logs]
            if logs_lost:
                self._counters["logs_lost"] = self._counters.get("logs_lost", 0) + logs_lost
        if not self._items:
            return
        if self._settings is not self._enricher.settings:
            self._enricher.use_settings(self._settings)
        self._enricher.use_facts(self._facts.snapshot())
        counters: dict[str, int] = {}
        events = await asyncio.to_thread(_events_of, self._items, self._enricher, counters)
        # What cannot be read cannot be kept: it is lost and counted so.
        self._lost_in_hand += counters.pop("unreadable", 0)
        for name, increment in counters.items():
            self._counters[name] = self._counters.get(name, 0) + increment
        self._items = ()
        if events:
            self._parts.append(events)

    async def _deliver(self) -> None:
        """Commit the parts in hand and the counters, each exactly once."""
        while True:
            lost = self.lost - self._lost_counted
            if not self._parts and not lost and not any(self._counters.values()):
                return
            part = self._parts[0] if self._parts else ()
            started = self._clock.monotonic()
            try:
                stored = await self._sink.append(part, {**self._counters, "lost": lost})
            except StoreError:
                raise
            except Exception as err:  # noqa: BLE001 - the sink is a plug-in; the event at fault is logged
                await self._isolate(self._parts, err)
                continue
            if self._parts:
                self._parts.popleft()
            self._settle(part, stored, lost, started)

    async def _isolate(self, parts: deque[Sequence[Event]], err: Exception) -> None:
        """Halve the first part, which the sink refused, until the event at fault stands alone and is given up.

        A sink that takes nothing at all is at fault itself, and raises here what it raises.
        """
        if not parts:
            raise err
        await self._sink.append((), {})
        part = parts.popleft()
        if len(part) > 1:
            middle = len(part) // 2
            parts.extendleft((part[middle:], part[:middle]))
            return
        self._lost_in_hand += 1
        # Not what it holds: that may be private.
        _LOGGER.error(
            "An event of %s (%s, %d) cannot be stored and is lost: %r",
            part[0].entity_id or part[0].name,
            part[0].kind,
            part[0].time_us,
            err,
        )

    def _settle(self, part: Sequence[Event], stored: int, lost: int, started: float) -> None:
        for name in self._totals:
            self._totals[name] += self._counters.get(name, 0)
        self._totals["stored"] += stored
        self._counters = {}
        self._lost_counted += lost
        now = self._clock.monotonic()
        self.metrics.committed(now, now - started, part, stored)
        if self._failing is not None:
            self._failing = None
            missed = self.lost - self._lost_before_failing
            _LOGGER.info("The store takes events again; %d were lost meanwhile", missed)
            _tell(self._on_change)
        if stored:
            _tell(self._on_stored)

    def _fail(self, err: StoreError) -> None:
        reason = err.placeholders.get("reason", "unknown")
        if self._failing == reason:
            return
        if self._failing is None:
            self._lost_before_failing = self.lost
            _LOGGER.warning("The store does not take events (%s: %s); they wait in memory", reason, err)
        self._failing = reason
        _tell(self._on_change)

    def _note_losses(self) -> None:
        if self.lost == self._lost_seen:
            return
        now = self._clock.monotonic()
        first = self._lost_at is None or now - self._lost_at > _LOSS_TOLD_S
        self._lost_seen, self._lost_at = self.lost, now
        # An overflow has been told already.
        if first and not self._losing:
            _tell(self._on_change)

    def _watch_overflow(self) -> None:
        """Tell once that the buffer overflows, and that it does no more; asked once for each commit."""
        overflowed = self.buffer.lost > self._overflow_seen
        self._overflow_seen = self.buffer.lost
        losing = overflowed or (self._losing and self.depth >= self.buffer.limit // 2)
        if losing == self._losing:
            return
        self._losing = losing
        if losing:
            _LOGGER.error("The event buffer (%d events) is full: events are being lost", self.buffer.limit)
        _tell(self._on_change)


def _tell(callback: Callable[[], None]) -> None:
    """Call back; whoever listens must not stop the pipeline."""
    try:
        callback()
    except Exception:
        _LOGGER.exception("A listener to the pipeline failed")


def _events_of(items: Sequence[object], enricher: Enricher, counters: dict[str, int]) -> list[Event]:
    """Enrich items in a worker thread, giving the GIL back after each slice."""
    events: list[Event] = []
    failure: Exception | None = None
    for part in batched(items, _SLICE, strict=False):
        for item in part:
            try:
                event = enricher.event_of(item, counters)
            except Exception as err:  # noqa: BLE001 - the decoder is a plug-in; logged below
                counters["unreadable"] = counters.get("unreadable", 0) + 1
                failure = err
                continue
            if event is not None:
                events.append(event)
        time.sleep(0)
    if failure is not None:
        # One line a batch, and not what the item holds: that may be private.
        _LOGGER.error("%d events cannot be read and are lost", counters["unreadable"], exc_info=failure)
    return events
