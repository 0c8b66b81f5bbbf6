"""Follow a store into a bucket: read after the cursor, deliver, persist the cursor, go on."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum
import logging
import random
from typing import Final, Protocol

from ..model import EngineError, Event, ReplicaError
from ..ports import Clock
from ._delivery import TIMEOUT_S, Delivery
from ._encoding import WINDOW, Encoded, LineEncoder
from ._errors import InfluxError, Reason
from ._settings import InfluxSettings

BATCH: Final = 5000
IDLE_S: Final = 5.0
STOP_S: Final = 1.0

_LONGEST_RETRY_AFTER_S: Final = 3600.0
_PASSING: Final = frozenset({401, 403, 404, 408, 425, 429})
_LOGGER: Final = logging.getLogger(__name__)


class EventSource(Protocol):
    """Be what the replica follows; the store is one. Every method may raise EngineError."""

    async def events_after(self, row_id: int, limit: int) -> Sequence[Event]:
        """Return up to ``limit`` events with a greater row id, in the order of their ids."""
        ...

    async def last_row_id(self) -> int:
        """Return the greatest row id, 0 for an empty store."""
        ...

    async def get_cursor(self, name: str) -> int | None:
        """Return a named cursor, None if it was never set."""
        ...

    async def set_cursor(self, name: str, row_id: int) -> None:
        """Persist a named cursor."""
        ...


class ReplicaState(StrEnum):
    """Say what the replica is doing; ``refused`` is a batch that the server will not take, kept and tried again."""

    STARTING = "starting"
    FOLLOWING = "following"
    RETRYING = "retrying"
    REFUSED = "refused"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaStats:
    """Describe the replica.

    ``cursor`` is the last row id that the server has acknowledged. ``sent`` (events) and ``bytes_sent`` (line protocol
    before compression) count since the start, ``last_success`` is in microseconds UTC. ``last_error`` and
    ``last_reason`` are None while all is well.
    """

    state: ReplicaState
    cursor: int
    lag_events: int
    sent: int
    bytes_sent: int
    last_success: int | None
    last_error: str | None
    last_reason: Reason | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Wait longer from failure to failure, in seconds, with jitter so that several homes do not come back as one."""

    first: float = 1.0
    longest: float = 60.0

    def delay(self, failures: int, retry_after: float | None = None) -> float:
        """Return the seconds to wait after so many failures in a row; the server's Retry-After is a lower bound.

        Between half the doubled delay and all of it, never below ``first``.
        """
        ceiling = min(self.longest, self.first * 2.0 ** min(failures, 30))
        jittered = max(self.first, random.uniform(ceiling / 2, ceiling))  # noqa: S311
        return max(jittered, min(retry_after or 0.0, _LONGEST_RETRY_AFTER_S))


class _StoppingError(Exception):
    """Leave the loop: a stop was asked for while a request was under way."""


class Replica:
    """Deliver every event of a source at least once, in row order, and remember how far.

    The cursor moves only when the server has acknowledged a batch, so nothing is skipped: what the server refuses
    stands still, shows as ``refused`` and is tried again. A batch that is delivered twice overwrites itself.
    All methods run on one event loop.
    """

    def __init__(
        self,
        source: EventSource,
        settings: InfluxSettings,
        clock: Clock,
        *,
        name: str,
        backoff: Backoff = Backoff(),
        timeout_s: float = TIMEOUT_S,
        idle_s: float = IDLE_S,
    ) -> None:
        """Take what to follow and where to; ``name`` is the cursor's and must be stable, ``idle_s`` the longest rest."""
        self._source = source
        self._settings = settings
        self._clock = clock
        self._name = name
        self._backoff = backoff
        self._idle_s = idle_s
        self._delivery = Delivery(settings, timeout_s=timeout_s)
        self._news = asyncio.Event()
        self._stopping = asyncio.Event()
        self._ended = asyncio.Event()
        self._ended.set()
        self._task: asyncio.Task[object] | None = None
        # Held from reading a batch to persisting its cursor, so that a purge meets no batch half way.
        self._moving = asyncio.Lock()
        self._encoder: LineEncoder | None = None
        self._pending: Encoded | None = None
        self._state = ReplicaState.STARTING
        self._cursor = 0
        self._last_row = 0
        self._sent = 0
        self._bytes_sent = 0
        self._last_success: int | None = None
        self._failures = 0
        self._failing_since = 0.0
        self._last_error: str | None = None
        self._last_reason: Reason | None = None

    @property
    def stats(self) -> ReplicaStats:
        """Return the figures as of the last batch or attempt."""
        return ReplicaStats(
            state=self._state,
            cursor=self._cursor,
            lag_events=max(0, self._last_row - self._cursor),
            sent=self._sent,
            bytes_sent=self._bytes_sent,
            last_success=self._last_success,
            last_error=self._last_error,
            last_reason=self._last_reason,
        )

    async def fresh_stats(self) -> ReplicaStats:
        """Return the figures with the lag as of now; raises the source's errors."""
        cursor = self._cursor or await self._source.get_cursor(self._name) or 0
        last_row = await self._source.last_row_id()
        return replace(self.stats, cursor=cursor, lag_events=max(0, last_row - cursor))

    def notify(self) -> None:
        """Say that the source has new events; cheap, call it after each commit."""
        self._news.set()

    async def run(self) -> None:
        """Follow until stopped; only cancellation ends it otherwise."""
        self._task = asyncio.current_task()
        self._ended.clear()
        try:
            while not self._stopping.is_set():
                await self._go_on()
        except _StoppingError:
            _LOGGER.debug("Replica %s stopped with a request under way; it will be repeated", self._name)
        finally:
            self._delivery.close()
            self._state = ReplicaState.STOPPED
            self._ended.set()

    async def stop(self) -> None:
        """Stop within a second, without waiting for a request under way: its batch is delivered again next time."""
        self._stopping.set()
        self._news.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(STOP_S):
                await self._ended.wait()
        if self._task is not None and not self._ended.is_set():
            # The source hangs.
            self._task.cancel()
            await self._ended.wait()
        # Again for a replica that never ran.
        self._delivery.close()
        self._state = ReplicaState.STOPPED

    async def purge_entity(self, entity_id: str) -> None:
        """Delete an entity's points from the bucket; purge the source first. Raises ReplicaError."""
        async with self._moving:
            # What was encoded may hold the entity; it is read anew, and by then the source has forgotten it.
            self._pending = self._encoder = None
            await asyncio.to_thread(self._delivery.delete, entity_id)

    async def _go_on(self) -> None:
        """Move one batch and rest as its outcome asks for."""
        # Cleared before reading: news that come while a batch is under way must not be slept over.
        self._news.clear()
        try:
            moved = await self._move()
        except EngineError as err:
            await _wait(self._stopping, self._failed(err))
        except _StoppingError:
            raise
        except Exception as err:  # noqa: BLE001
            # The loop's boundary: whatever it is, the store keeps the events and the next attempt may pass.
            await _wait(self._stopping, self._failed(err))
        else:
            self._succeeded()
            if not moved:
                await _wait(self._news, self._idle_s)

    async def _move(self) -> bool:
        """Deliver one batch; return False if there was nothing to deliver."""
        async with self._moving:
            self._last_row = await self._source.last_row_id()
            if self._encoder is not None and self._cursor == self._last_row:
                return False
            encoder = await self._take_up()
            if self._pending is None:
                events = await self._source.events_after(self._cursor, BATCH)
                if not events:
                    # The newest rows were purged.
                    self._last_row = self._cursor
                    return False
                # An encoder that was interrupted has counted rows that it will see again.
                self._encoder = None
                self._pending = await asyncio.to_thread(encoder.encode, events)
                self._encoder = encoder
            batch = self._pending
            await self._unless_stopped(self._delivery.write, batch.body)
            await self._source.set_cursor(self._name, batch.last_id)
            self._pending = None
            self._cursor = batch.last_id
            self._sent += batch.events
            self._bytes_sent += len(batch.body)
            self._last_success = self._clock.now_us()
            return True

    async def _take_up(self) -> LineEncoder:
        """Take up the persisted cursor, with an encoder that knows the rows before it.

        Read every time: a store that was damaged and begun anew has lost the cursor and counts its rows from 1.
        """
        cursor = await self._source.get_cursor(self._name) or 0
        if cursor > self._last_row:
            _LOGGER.info(
                "The store is not the one that the replica of %s followed: it starts over", self._settings.bucket
            )
            cursor = 0
        if self._encoder is not None and cursor == self._cursor:
            return self._encoder
        self._pending = None
        self._cursor = cursor
        encoder = LineEncoder(self._settings.home)
        before = await self._source.events_after(max(0, cursor - WINDOW), WINDOW)
        encoder.prime([event for event in before if event.id is not None and event.id <= cursor])
        self._encoder = encoder
        return encoder

    async def _unless_stopped(self, function: Callable[[bytes], None], body: bytes) -> None:
        """Run a function in a thread; raises _StoppingError, leaving the thread alone, if the replica is stopped."""
        work = asyncio.ensure_future(asyncio.to_thread(function, body))
        stop = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait({work, stop}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                raise _StoppingError
            work.result()
        finally:
            stop.cancel()
            work.cancel()
            await asyncio.wait({work, stop})

    def _failed(self, err: Exception) -> float:
        """Note a failure, warn at the first in a row and of another kind, and return the seconds to wait."""
        retry_after = err.retry_after if isinstance(err, ReplicaError) else None
        status = err.status if isinstance(err, ReplicaError) else None
        refused = status is not None and 400 <= status < 500 and status not in _PASSING
        self._state = ReplicaState.REFUSED if refused else ReplicaState.RETRYING
        self._last_error = str(err) or type(err).__name__
        before = self._last_reason
        self._last_reason = err.reason if isinstance(err, InfluxError) else Reason.UNKNOWN
        if not self._failures:
            self._failing_since = self._clock.monotonic()
        if self._last_reason is not before:
            known = isinstance(err, EngineError)
            _LOGGER.warning(
                "Replica of %s fails; events wait in the store and are delivered later: %s",
                self._settings.bucket,
                self._last_error,
                exc_info=None if known else err,
            )
        delay = self._backoff.delay(self._failures, retry_after)
        self._failures += 1
        return delay

    def _succeeded(self) -> None:
        """Note that an attempt passed, and say so after a failure."""
        if self._failures:
            _LOGGER.info(
                "Replica of %s is back after %.0f s and %d attempts",
                self._settings.bucket,
                self._clock.monotonic() - self._failing_since,
                self._failures,
            )
        self._state = ReplicaState.FOLLOWING
        self._failures = 0
        self._last_error = self._last_reason = None


async def _wait(event: asyncio.Event, seconds: float) -> None:
    """Wait for an event, but not for longer."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
