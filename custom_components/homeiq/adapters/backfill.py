"""Bring the recorder's past into the store: all of it once, and at each start what was missed since.

Newest first, in the background, resumable.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
import time
from typing import TYPE_CHECKING, Final

from homeassistant.core import HomeAssistant
from homeassistant.helpers import start

from ..const import LOGGER
from ..engine.model import EngineError, RawEvent, StoreError
from ..engine.pipeline import Enricher, FilterSettings, Pipeline
from ..engine.store import Store, entity_hash, forget_entity, forgotten_entities
from .bus import HassEventDecoder

if TYPE_CHECKING:
    from .history import RecorderHistory

# A window's rows are in memory at once, about 1 kB each: the window shrinks and grows with what it holds, so that the
# worst home known (174 events/s) needs no more than a quiet one.
_FIRST_WINDOW_S: Final = 600.0
_SHORTEST_WINDOW_S: Final = 60.0
_LONGEST_WINDOW_S: Final = 3_600.0
_FEW_ROWS: Final = 2_000
_MANY_ROWS: Final = 10_000
_CHUNK: Final = 1_000
_PAUSE_S: Final = 0.02
_RETRY_S: Final = 60.0
_META_UNTIL: Final = "backfill_until"
_DONE: Final = "done"
_DAY_S: Final = 86_400.0


class HistoryError(EngineError):
    """Report that the recorder could not be read now."""

    code = "history"


@dataclass(slots=True, kw_only=True)
class BackfillProgress:
    """Say how far the back-fill is: state is waiting, running, done, off, no_recorder or unknown_schema."""

    state: str = "waiting"
    events: int = 0
    until: float | None = None


class Backfill:
    """Read the recorder window by window and store what is not there yet."""

    def __init__(self, hass: HomeAssistant, store: Store, pipeline: Pipeline) -> None:
        """Take the parts; nothing is read yet."""
        self._hass = hass
        self._store = store
        self._pipeline = pipeline
        self.progress = BackfillProgress()

    async def async_run(self, settings: Callable[[], FilterSettings], retention_days: Callable[[], int]) -> None:
        """Store what was missed and the recorder's past, going on where an earlier run was interrupted.

        The options are asked for again and again: they may change meanwhile.
        """
        await self._async_started()
        if "recorder" not in self._hass.config.components:
            self.progress.state = "no_recorder"
            return
        history = await self._hass.async_add_import_executor_job(_recorder_history, self._hass)
        if (reason := history.why_unreadable()) is not None:
            self.progress.state = reason
            return
        await history.async_ready()
        while True:
            try:
                await self._async_fill(history, settings, retention_days)
            except (StoreError, HistoryError) as err:
                LOGGER.debug("Back-fill waits for the store or the recorder: %s", err)
                self.progress.state = "waiting"
                await asyncio.sleep(_RETRY_S)
            else:
                return

    async def async_forget(self, entity_id: str) -> None:
        """Never bring back from the recorder, which may hold it on, what an entity did until now."""
        await forget_entity(self._store, entity_id)

    async def _async_started(self) -> None:
        started = asyncio.Event()

        async def set_started(hass: HomeAssistant) -> None:
            started.set()

        remove = start.async_at_started(self._hass, set_started)
        try:
            await started.wait()
        finally:
            remove()

    async def _async_fill(
        self, history: RecorderHistory, settings: Callable[[], FilterSettings], retention_days: Callable[[], int]
    ) -> None:
        now = time.time()
        known = await self._store.get_meta(_META_UNTIL)
        unheard_us = await self._store.unheard_since()
        if known != _DONE or unheard_us is not None:
            self.progress.state = "running"
            # What was heard up to then and waits in memory would be stored a second time.
            await self._pipeline.flush()
            # What happened before HomeIQ listened may still be in the recorder's queue.
            await history.async_committed()

        def oldest_wanted() -> float:
            return time.time() - retention_days() * _DAY_S

        def missed_since() -> float:
            return max(oldest_wanted(), (unheard_us or 0) / 1_000_000)

        async def note(until: float) -> None:
            await self._store.set_meta(_META_UNTIL, str(until))

        if unheard_us is not None and known is not None:
            # Missed by a reload, or lost with the batch that a killed process left open.
            await self._async_fill_back(history, settings, now, missed_since, _note_nothing)
        if unheard_us is not None:
            await self._store.forget_unheard()
        if known != _DONE:
            until = float(known) if known is not None else now
            await self._async_fill_back(history, settings, until, oldest_wanted, note)
            await self._store.set_meta(_META_UNTIL, _DONE)
            LOGGER.info("Back-fill from the recorder is done: %d events", self.progress.events)
        self.progress.state = _DONE

    async def _async_fill_back(
        self,
        history: RecorderHistory,
        settings: Callable[[], FilterSettings],
        until: float,
        not_before: Callable[[], float],
        note: Callable[[float], Awaitable[None]],
    ) -> None:
        """Store what is not there yet of [not_before, until), newest window first; tells how far it has come."""
        oldest = await history.async_oldest()
        window = _FIRST_WINDOW_S
        while oldest is not None and until > (first := max(oldest, not_before())):
            since = until - window
            # A cause never stays known from a newer window to an older one, so each gets an enricher of its own.
            enricher = Enricher(HassEventDecoder(), settings(), started=True)
            forgotten = await forgotten_entities(self._store)
            read = await history.async_read(max(since, first), until)
            events = [event for event in read if not (forgotten and _is_about(event, forgotten))]
            for begin in range(0, len(events), _CHUNK):
                stored = await self._pipeline.store_now(events[begin : begin + _CHUNK], enricher)
                self.progress.events += stored
                await asyncio.sleep(_PAUSE_S)
            if not read:
                # Nothing here: go straight to where there is something.
                newest = await history.async_newest_before(since)
                since = first if newest is None else min(since, newest + 1.0)
            await note(since)
            self.progress.until = until = since
            if len(read) > _MANY_ROWS:
                window = max(_SHORTEST_WINDOW_S, window / 2)
            elif len(read) < _FEW_ROWS:
                window = min(_LONGEST_WINDOW_S, window * 2)


async def _note_nothing(_: float) -> None:
    """Begin at the newest again after an interruption: what was missed is not much."""


def _recorder_history(hass: HomeAssistant) -> RecorderHistory:
    """Load the reader; only here: without the recorder its modules, and SQLAlchemy, would be loaded for nothing."""
    from .history import RecorderHistory  # noqa: PLC0415

    return RecorderHistory(hass)


def _is_about(event: RawEvent, forgotten: Mapping[str, int]) -> bool:
    """Return whether an event from before the forgetting is of a forgotten entity or a call that aims at one."""
    targets = (event.data or {}).get("entity_id", ())
    named = targets if isinstance(targets, list | tuple) else (targets,)
    return any(
        forgotten.get(entity_hash(str(name)), event.time_us) > event.time_us
        for name in (event.entity_id, *named)
        if name is not None
    )
