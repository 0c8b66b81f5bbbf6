"""Follow a store into a bucket: read after the cursor, deliver, persist the cursor, go on."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from dataclasses import replace
import logging
from typing import Final

from ..model import DeadLetter, EngineError, Event, ReplicaError
from ..ports import Clock
from ._breaker import PROBE, Backoff, CircuitBreaker, CircuitState
from ._connection import TIMEOUT_S
from ._delivery import Delivery
from ._dispatch import Dispatcher, Outcome
from ._encoding import keep_all
from ._errors import InfluxError, Reason
from ._escaping import quoted
from ._letters import letters_batch
from ._outbox import Outbox
from ._rows import BATCH
from ._settings import InfluxSettings, Layout
from ._source import ReplicaSource
from ._stats import Rate, ReplicaState, ReplicaStats

IDLE_S: Final = 5.0
STOP_S: Final = 1.0

_BACKOFF: Final = Backoff()
_LETTERS: Final = 100
_STATES: Final = {
    Reason.INVALID_AUTH: ReplicaState.UNAUTHORIZED,
    Reason.NO_WRITE_ACCESS: ReplicaState.UNAUTHORIZED,
    Reason.NO_READ_ACCESS: ReplicaState.UNAUTHORIZED,
    Reason.BUCKET_NOT_FOUND: ReplicaState.BUCKET_MISSING,
}
_LOGGER: Final = logging.getLogger(__name__)


class _StoppingError(Exception):
    """Leave the loop: a stop was asked for while a request was under way."""


def _nothing() -> None:
    """Need no news."""


class Replica:
    """Deliver every event of a source at least once, in row order, and remember how far.

    The cursor moves only past what the server has acknowledged or what is kept as a dead letter, so nothing is
    skipped. A batch that is delivered twice overwrites itself. All methods run on one event loop.
    """

    def __init__(
        self,
        source: ReplicaSource,
        settings: InfluxSettings,
        clock: Clock,
        *,
        title: str,
        keeps: Callable[[Event], bool] = keep_all,
        on_change: Callable[[], None] = _nothing,
        backoff: Backoff = _BACKOFF,
        timeout_s: float = TIMEOUT_S,
        idle_s: float = IDLE_S,
    ) -> None:
        """Take what to follow and where to.

        ``title`` names it in the log. ``keeps`` says which events are sent; it is called in a worker thread.
        ``on_change`` is told when the state, the circuit or the dead letters have changed. ``idle_s`` is the longest
        rest without a ``notify``.
        """
        self._source = source
        self._settings = settings
        self._clock = clock
        self._title = title
        self._on_change = on_change
        self._idle_s = idle_s
        self._delivery = Delivery(settings, timeout_s=timeout_s)
        self._dispatcher = Dispatcher(self._delivery, settings, clock, self._unless_stopped, title)
        self._breaker = CircuitBreaker(backoff)
        self._outbox = Outbox(source, settings, title, keeps)
        self._news = asyncio.Event()
        self._hurry = asyncio.Event()
        self._stopping = asyncio.Event()
        self._ended = asyncio.Event()
        self._ended.set()
        self._task: asyncio.Task[object] | None = None
        # Held from reading a batch to persisting its cursor, so that a purge meets no batch half way.
        self._moving = asyncio.Lock()
        self._paused = False
        self._state = ReplicaState.STARTING
        self._shown: tuple[object, ...] = ()
        self._rate = Rate()
        self._sent = 0
        self._dead_letters: int | None = None
        self._last_success: int | None = None
        self._failing_since = 0.0
        self._last_error: str | None = None
        self._last_reason: Reason | None = None

    @property
    def acknowledges(self) -> bool:
        """Return whether what was delivered is all there; a server that keeps numbers only is no second copy."""
        return not self._settings.metrics_only

    @property
    def stats(self) -> ReplicaStats:
        """Return the figures as of the last batch or attempt."""
        return ReplicaStats(
            state=self._visible_state(),
            circuit=self._breaker.state,
            cursor=self._outbox.cursor,
            lag_events=self._outbox.lag_events,
            lag_s=self._age_s(self._outbox.oldest_us),
            points_per_s=self._rate.per_second(self._clock.monotonic()),
            sent=self._sent,
            bytes_sent=self._dispatcher.bytes_sent,
            dead_letters=self._dead_letters or 0,
            unverified=self._dispatcher.unverified,
            last_success=self._last_success,
            last_error=self._last_error,
            last_reason=self._last_reason,
        )

    async def fresh_stats(self) -> ReplicaStats:
        """Return the figures with lag and dead letters as of now; raises the source's errors."""
        last_row = await self._source.last_row_id()
        cursor = self._outbox.cursor or await self._source.cursor() or 0
        waiting = await self._source.events_after(cursor, 1) if last_row > cursor else ()
        self._dead_letters = await self._source.dead_letter_count()
        return replace(
            self.stats,
            cursor=cursor,
            lag_events=max(0, last_row - cursor),
            lag_s=self._age_s(waiting[0].time_us if waiting else None),
        )

    def notify(self) -> None:
        """Say that the source has new events; cheap, call it after each commit."""
        self._news.set()

    def pause(self) -> None:
        """Send nothing more until ``resume``; a request under way is not broken off. Events wait in the source."""
        self._paused = True
        self._tell()

    def resume(self) -> None:
        """Go on after a pause, or try again at once after a failure."""
        self._paused = False
        self._news.set()
        self._hurry.set()
        self._tell()

    def use_filter(self, keeps: Callable[[Event], bool]) -> None:
        """Send what this keeps from now on; what was left out before stays out until a resend."""
        self._outbox.use_filter(keeps)

    async def resend(self, start_us: int, end_us: int) -> int:
        """Send all settled events with start <= time < end once more, before new ones; return how many there are.

        Those that the filter or the start point leaves out are among the count, and still not sent. A resend that is
        not finished when the replica stops is forgotten. Raises the source's errors.
        """
        last_row = self._outbox.cursor or await self._source.cursor() or 0
        count = await self._source.count_in(start_us, end_us, last_row)
        if count:
            self._outbox.resend(start_us, end_us, last_row)
            self._news.set()
        return count

    async def retry_dead_letters(self) -> tuple[int, int]:
        """Send all dead letters again; return how many were delivered and how many were refused again.

        Raises InfluxError if the server cannot be used now, and the source's errors; what was delivered until then is
        no longer a dead letter.
        """
        async with self._moving:
            await self._outbox.take_up()
            delivered = refused = after = 0
            try:
                while letters := await self._source.dead_letters(after, _LETTERS):
                    after = letters[-1].id or 0
                    gone, dead = await self._retry(letters)
                    delivered, refused = delivered + gone, refused + dead
            except _StoppingError:
                raise self._settings.error(Reason.UNKNOWN, "the replica was stopped") from None
            finally:
                await self._count_letters()
            return delivered, refused

    async def _retry(self, letters: Sequence[DeadLetter]) -> tuple[int, int]:
        """Send some letters again; return how many were delivered and how many were refused."""
        pending = deque([await letters_batch(self._source, self._settings, letters)])
        ids = {letter.event_id: letter.id or 0 for letter in letters}
        delivered = refused = 0
        while pending:
            outcome = await self._dispatcher.step(pending, BATCH)
            if outcome is not None:
                dead = {letter.event_id for letter in outcome.dead}
                gone = [line.event_id for line in outcome.batch.lines if line.event_id not in dead]
                await self._source.advance(self._outbox.cursor, outcome.dead)
                await self._source.delete_dead_letters([ids[row] for row in gone])
                delivered, refused = delivered + len(gone), refused + len(dead)
        return delivered, refused

    async def purge_entity(self, entity_id: str) -> None:
        """Delete an entity's points from the bucket; purge the source first. Raises ReplicaError."""
        async with self._moving:
            # What was encoded may hold the entity; it is read anew, and by then the source has forgotten it.
            self._outbox.drop()
            await asyncio.to_thread(self._delete, entity_id)
            self._dead_letters = None

    async def run(self) -> None:
        """Follow until stopped; only cancellation ends it otherwise."""
        self._task = asyncio.current_task()
        self._ended.clear()
        try:
            while not self._stopping.is_set():
                await self._go_on()
        except _StoppingError:
            _LOGGER.debug("Replica %s stopped with a request under way; it will be repeated", self._title)
        finally:
            self._delivery.close()
            self._state = ReplicaState.STOPPED
            self._ended.set()

    async def stop(self) -> None:
        """Stop within a second, without waiting for a request under way: its batch is delivered again next time."""
        self._stopping.set()
        self._news.set()
        self._hurry.set()
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

    async def _go_on(self) -> None:
        """Move one piece and rest as its outcome asks for."""
        # Cleared before reading: news that come while a batch is under way must not be slept over.
        self._news.clear()
        self._hurry.clear()
        if self._paused:
            await _wait(self._news, self._idle_s)
            return
        self._breaker.begin()
        try:
            moved = await self._move()
        except _StoppingError:
            raise
        except Exception as err:  # noqa: BLE001
            # The loop's boundary: whatever it is, the store keeps the events and the next attempt may pass.
            await _wait(self._hurry, self._failed(err))
        else:
            self._succeeded()
            if not moved:
                await _wait(self._news, self._idle_s)

    async def _move(self) -> bool:
        """Settle one piece, or take it apart; return False if there is nothing to deliver."""
        async with self._moving:
            if self._dead_letters is None:
                await self._count_letters()
            outbox, circuit = self._outbox, self._breaker.state
            if not await outbox.fill():
                return False
            max_lines = PROBE if circuit is CircuitState.HALF_OPEN else BATCH
            async with outbox.reading_ahead() if circuit is CircuitState.CLOSED else nullcontext():
                outcome = await self._dispatcher.step(outbox.pending, max_lines)
                if outcome is not None:
                    await outbox.settle(outcome)
                    await self._settled(outcome)
            return True

    async def _settled(self, outcome: Outcome) -> None:
        """Count what is settled."""
        if points := len(outcome.batch.lines) - len(outcome.dead):
            self._sent += points
            self._rate.add(points, self._clock.monotonic())
            self._last_success = self._clock.now_us()
        if outcome.dead:
            await self._count_letters()

    def _delete(self, entity_id: str) -> None:
        """Delete an entity's points; blocks."""
        named = quoted(entity_id)
        if self._settings.metrics_only:
            self._delivery.delete_metrics(f'{{entity_id="{named}"}}')
            return
        self._delivery.delete(f'entity_id="{named}"')
        if self._settings.layout is Layout.CORE:
            domain, _, name = named.partition(".")
            self._delivery.delete(f'domain="{domain}" AND entity_id="{name}"')

    async def _count_letters(self) -> None:
        self._dead_letters = await self._source.dead_letter_count()
        self._tell()

    async def _unless_stopped[**P, T](self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a function in a thread; raises _StoppingError, leaving the thread alone, if the replica is stopped."""
        work = asyncio.ensure_future(asyncio.to_thread(function, *args, **kwargs))
        stop = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait({work, stop}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                raise _StoppingError
            return work.result()
        finally:
            stop.cancel()
            work.cancel()
            await asyncio.wait({work, stop})

    def _failed(self, err: Exception) -> float:
        """Note a failure, warn at the first in a row and of another kind, and return the seconds to wait."""
        before = self._last_reason
        self._last_error = str(err) or type(err).__name__
        self._last_reason = err.reason if isinstance(err, InfluxError) else Reason.UNKNOWN
        self._state = _STATES.get(self._last_reason, ReplicaState.RETRYING)
        if not self._breaker.failures:
            self._failing_since = self._clock.monotonic()
        if self._last_reason is not before:
            known = isinstance(err, EngineError)
            _LOGGER.warning(
                "Replica %s fails; events wait in the store and are delivered later: %s",
                self._title,
                self._last_error,
                exc_info=None if known else err,
            )
        retry_after = err.retry_after if isinstance(err, ReplicaError) else None
        delay = self._breaker.failed(retry_after, refused=self._state is not ReplicaState.RETRYING)
        self._tell()
        return delay

    def _succeeded(self) -> None:
        """Note that an attempt passed, and say so after a failure."""
        if self._breaker.failures:
            _LOGGER.info(
                "Replica %s is back after %.0f s and %d attempts",
                self._title,
                self._clock.monotonic() - self._failing_since,
                self._breaker.failures,
            )
        self._breaker.succeeded()
        self._state = ReplicaState.FOLLOWING
        self._last_error = self._last_reason = None
        self._tell()

    def _visible_state(self) -> ReplicaState:
        return ReplicaState.PAUSED if self._paused and self._state is not ReplicaState.STOPPED else self._state

    def _age_s(self, time_us: int | None) -> float:
        return 0.0 if time_us is None else max(0.0, (self._clock.now_us() - time_us) / 1e6)

    def _tell(self) -> None:
        """Tell of a change, if there is one."""
        shown = (self._visible_state(), self._breaker.state, self._dead_letters, self._last_reason)
        if shown != self._shown:
            self._shown = shown
            try:
                self._on_change()
            except Exception:
                # Whoever listens must not keep events from being delivered.
                _LOGGER.exception("Replica %s could not tell of a change", self._title)


async def _wait(event: asyncio.Event, seconds: float) -> None:
    """Wait for an event, but not for longer."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
