"""Send batches piece by piece: smaller where the server wants that, in halves where it refuses some, until all is settled."""

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
import logging
import re
from typing import Final, Protocol

from ..model import DeadLetter, kept_line
from ..ports import Clock
from ._batch import Batch
from ._delivery import PARTLY, Delivery
from ._encoding import MAX_BODY, check_line
from ._errors import InfluxError, Reason
from ._settings import InfluxSettings
from ._verification import Verification

_REFUSES_POINTS: Final = frozenset({PARTLY, 400, 422})
_TOO_LARGE: Final = 413
_VOUCHED_S: Final = 60.0
_READS: Final = 3
# Requests that pass before one twice as large is tried.
_GROW_AFTER: Final = 16
_DROPPED: Final = re.compile(r"\bdropped=(\d+)\b")
_TOO_OLD: Final = re.compile(r"(beyond|outside) retention policy")
_LOGGER: Final = logging.getLogger(__name__)


class InThread(Protocol):
    """Run a blocking function in a thread; raises what it raises, or leaves it alone if the replica stops."""

    def __call__[**P, T](self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Awaitable[T]:
        """Return what the function returns."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Say what has been settled: ``batch`` was taken by the server but for its ``dead`` letters."""

    batch: Batch
    dead: Sequence[DeadLetter] = ()


class Dispatcher:
    """Send to one bucket, one request at a time, and remember what the server has taught."""

    def __init__(
        self, delivery: Delivery, settings: InfluxSettings, clock: Clock, in_thread: InThread, title: str
    ) -> None:
        """Take what to send through; ``title`` is for the log."""
        self._delivery = delivery
        self._settings = settings
        self._clock = clock
        self._in_thread = in_thread
        self._title = title
        self._verification = Verification(delivery) if settings.verify_reads and not settings.metrics_only else None
        self._max_body = MAX_BODY
        self._fitting = 0
        self._vouched_at: float | None = None
        self._misses = 0
        self._told: set[str] = set()
        self.bytes_sent = 0
        self.unverified = 0

    async def step(self, pending: deque[Batch], max_lines: int) -> Outcome | None:
        """Send the first piece of what is pending; return what is settled, None if it was only taken apart.

        What is settled is no longer pending. Raises InfluxError where trying again later may help; nothing has changed
        then.
        """
        batch = self._cut(pending, max_lines)
        if not batch.lines:
            return self._settled(pending)
        try:
            await self._write(lambda: batch.body)
        except InfluxError as err:
            if err.status == _TOO_LARGE:
                return await self._make_smaller(pending, err)
            if _is_about_points(err):
                return await self._sift(pending, err)
            raise
        self._grow()
        if self._verification is not None:
            await self._verify(batch, self._verification)
        return self._settled(pending)

    def _cut(self, pending: deque[Batch], max_lines: int) -> Batch:
        """Cut the first batch to what may be sent at once, and return it."""
        batch = pending[0]
        if len(batch.lines) <= max_lines and self._max_body == MAX_BODY:
            # The encoder has seen to it.
            return batch
        fitting = batch.within(max_lines, self._max_body)
        if fitting < len(batch.lines):
            self._replace(pending, batch.split(fitting))
        return pending[0]

    async def _write(self, body: Callable[[], bytes]) -> None:
        # To join thousands of lines takes a millisecond, which is not the event loop's to spend.
        self.bytes_sent += await self._in_thread(lambda: self._delivery.write(body()))
        self._vouched_at = self._clock.monotonic()

    async def _make_smaller(self, pending: deque[Batch], err: InfluxError) -> Outcome | None:
        """Remember that the server takes less; a single line that is too large is a dead letter."""
        batch = pending[0]
        if len(batch.lines) == 1:
            return await self._blame(pending, err)
        self._max_body = min(self._max_body, len(batch.body)) // 2
        self._fitting = 0
        self._tell_once("size", "The server of replica %s takes smaller requests only: %s", err.placeholders["error"])
        return None

    def _grow(self) -> None:
        """Try larger requests again after a while: what refused them may have been passing."""
        if self._max_body < MAX_BODY:
            self._fitting += 1
            if self._fitting >= _GROW_AFTER:
                self._fitting = 0
                self._max_body = min(MAX_BODY, self._max_body * 2)

    async def _sift(self, pending: deque[Batch], err: InfluxError) -> Outcome | None:
        """Halve what the server refuses until the offending lines stand alone: those are dead letters.

        It may have kept the others; to repeat them is harmless.
        """
        batch = pending[0]
        words = err.placeholders["error"]
        if _TOO_OLD.search(words):
            # The bucket would have deleted these by now; the others are there.
            self._tell_once("retention", "The bucket of replica %s keeps no events as old as some: %s", words)
            return self._settled(pending)
        await self._vouch(err)
        dropped = _DROPPED.search(words)
        if len(batch.lines) > 1 and (dropped is None or int(dropped[1]) != len(batch.lines)):
            self._replace(pending, batch.halves())
            return None
        return await self._blame(pending, err)

    async def _blame(self, pending: deque[Batch], err: InfluxError) -> Outcome:
        """Make dead letters of what is refused once more after another point was taken; raises InfluxError if none is."""
        batch = pending[0]
        await self._prove(err)
        try:
            await self._write(lambda: batch.body)
        except InfluxError as again:
            if again.status == _TOO_LARGE or _is_about_points(again):
                return self._settled(pending, self._letters(batch, again))
            raise
        return self._settled(pending)

    async def _vouch(self, err: InfluxError) -> None:
        """Make sure, where no point was taken lately, that it is the points that are refused before halving them."""
        if self._vouched_at is None or self._clock.monotonic() - self._vouched_at >= _VOUCHED_S:
            await self._prove(err)

    async def _prove(self, err: InfluxError) -> None:
        """Write a point that is sound: where no point is taken at all, no point is to blame; raises InfluxError then."""
        try:
            await self._write(lambda: check_line(self._settings.home))
        except InfluxError as other:
            raise (err if other.status == _TOO_LARGE or other.status in _REFUSES_POINTS else other) from None

    async def _verify(self, batch: Batch, verification: Verification) -> None:
        """Read the newest point back; raises InfluxError if it is not there.

        A point that stays away though the server stores others (the bucket's retention, somebody's delete) must not
        hold up the rest for ever: the third time it is counted as unverified and left.
        """
        if await self._in_thread(verification.find, batch):
            self._misses = 0
            return
        self._misses += 1
        self.unverified += self._misses == 1
        if self._misses >= _READS:
            await self._in_thread(verification.prove, self._clock.now_us() * 1000)
            self._misses = 0
            words = f"{self.unverified} could not be read back"
            self._tell_once("unverified", "The server of replica %s does not keep all that it takes: %s", words)
            return
        raise self._settings.error(Reason.NOT_STORED, "the server said that it stored events that it does not have")

    def _letters(self, batch: Batch, err: InfluxError) -> Sequence[DeadLetter]:
        words, now_us = err.placeholders["error"], self._clock.now_us()
        self._tell_once("refused", "The server of replica %s refuses events, which are kept as dead letters: %s", words)
        return [
            DeadLetter(
                event_id=line.event_id, time_us=line.time_us, entity_id=line.entity_id, line=kept_line(line.text),
                status=err.status, words=words, noted_us=now_us,
            )
            for line in batch.lines
        ]  # fmt: skip

    @staticmethod
    def _settled(pending: deque[Batch], dead: Sequence[DeadLetter] = ()) -> Outcome:
        return Outcome(batch=pending.popleft(), dead=dead)

    @staticmethod
    def _replace(pending: deque[Batch], parts: tuple[Batch, Batch]) -> None:
        pending.popleft()
        pending.extendleft(reversed(parts))

    def _tell_once(self, about: str, message: str, words: str) -> None:
        """Warn of something that may come thousands of times; the figures tell the rest."""
        if about not in self._told:
            self._told.add(about)
            _LOGGER.warning(message, self._title, words)


def _is_about_points(err: InfluxError) -> bool:
    """Return whether InfluxDB itself refused points, and not some proxy the request."""
    return err.status in _REFUSES_POINTS and err.reason is not Reason.INVALID_URL
