"""Keep the store's file fit for copying while Home Assistant makes a backup."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Final

from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.helpers.event import async_call_later

from .const import LOGGER
from .engine.model import EngineError
from .engine.pipeline import Pipeline
from .engine.store import LONGEST_HOLD_S, CheckpointHold, Essentials
from .places import BackupContent
from .repairs import ISSUE_BACKUP_STALE, async_set_issue

# Home Assistant waits for the slowest platform; the whole home's backup must not wait for HomeIQ.
_PREPARE_S: Final = 10.0
# Of these for what waits in memory, and to keep the file still; the rest may be spent on the extract.
_FLUSH_S: Final = 2.0
_HOLD_S: Final = 4.0


class BackupGuard:
    """Make ready for a backup and go on after it.

    While a backup runs, commits go into the write-ahead log and nothing is taken out of it, so that file and log, copied
    at different moments, still open at a committed state. Whatever replaces or deletes files of the folder waits too:
    Home Assistant's backup fails if a file vanishes under it.
    """

    def __init__(
        self,
        hass: HomeAssistant,
        pipeline: Pipeline,
        hold: CheckpointHold,
        essentials: Essentials,
        content: Callable[[], BackupContent],
    ) -> None:
        """Take the parts; ``content`` says what of the store is in the backups."""
        self._hass = hass
        self._pipeline = pipeline
        self._hold = hold
        self._essentials = essentials
        self._content = content
        self._over = asyncio.Event()
        self._over.set()
        self._one = asyncio.Lock()
        self._cancel_timer: CALLBACK_TYPE | None = None

    @property
    def held(self) -> bool:
        """Return whether a backup is under way."""
        return not self._over.is_set()

    async def async_over(self) -> None:
        """Wait until no backup is under way."""
        await self._over.wait()

    async def async_prepare(self) -> None:
        """Commit what waits, bring the extract up to date, keep the file still; at most 10 s, never raises Exception."""
        self._over.clear()
        self._start_timer()
        began = self._hass.loop.time()
        reason: str | None = None
        try:
            async with asyncio.timeout(_FLUSH_S):
                await self._pipeline.flush()
        except (EngineError, TimeoutError) as err:
            # It is in the log of the next second; the backup is a little older then.
            LOGGER.debug("What waits in memory does not come into the backup: %s", err)
        if self._content() is BackupContent.ESSENTIALS:
            left = _PREPARE_S - _HOLD_S - (self._hass.loop.time() - began)
            reason = await _async_try("bringing the extract up to date", self._essentials.update, left)
        left = _PREPARE_S - (self._hass.loop.time() - began)
        reason = await _async_try("keeping the file still", self._async_hold, left) or reason
        async_set_issue(
            self._hass,
            ISSUE_BACKUP_STALE,
            active=reason is not None,
            placeholders={"reason": reason or "", "content": self._content().value},
        )

    async def async_release(self) -> None:
        """Go on as before the backup; does nothing if none is under way."""
        self._stop_timer()
        try:
            async with self._one:
                await self._hold.release()
        except EngineError as err:
            # A store that is opened anew has its checkpoints on.
            LOGGER.warning("The write-ahead log cannot be taken in after the backup: %s", err)
        finally:
            self._over.set()

    async def async_stop(self) -> None:
        """End with the entry."""
        if self.held:
            await self.async_release()

    async def _async_hold(self) -> None:
        async with self._one:
            await self._hold.hold()

    @callback
    def _start_timer(self) -> None:
        self._stop_timer()

        async def give_up(now: datetime) -> None:
            self._cancel_timer = None
            LOGGER.warning("No word of the backup's end for 2 hours; HomeIQ goes on")
            await self.async_release()

        self._cancel_timer = async_call_later(self._hass, LONGEST_HOLD_S, give_up)

    @callback
    def _stop_timer(self) -> None:
        if self._cancel_timer is not None:
            self._cancel_timer()
            self._cancel_timer = None


async def _async_try(what: str, work: Callable[[], Awaitable[object]], seconds: float) -> str | None:
    """Do a part of the preparation within its time; return in one word why it was not done, None if it was."""
    try:
        async with asyncio.timeout(max(0.0, seconds)):
            await work()
    except TimeoutError:
        reason = "timeout"
    except EngineError as err:
        reason = err.placeholders.get("reason", err.code)
    except Exception:  # noqa: BLE001 - whatever it is, the whole home's backup must not fail for it
        LOGGER.exception("Not ready for the backup: %s", what)
        return "unknown"
    else:
        return None
    LOGGER.warning("Not ready for the backup: %s (%s)", what, reason)
    return reason
