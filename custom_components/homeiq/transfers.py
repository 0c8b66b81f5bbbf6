"""Run the long jobs over the whole store one at a time, and tell how far they are: export, import, restore, salvage."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
import time
from typing import Any, Final

from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback

from .const import LOGGER
from .engine.model import BusyError, EngineError, StoreError

type Progress = Callable[[int, int | None], None]
"""Take how much is done and how much there is, None where that is not known; may be called from a thread."""
type Work[T] = Callable[[Progress], Awaitable[T]]

# The recorder keeps a row for every change.
_TELL_EVERY_S: Final = 2.0


class TransferKind(StrEnum):
    """Name what is under way."""

    IDLE = "idle"
    EXPORT = "export"
    IMPORT = "import"
    RESTORE = "restore"
    SALVAGE = "salvage"


@dataclass(slots=True, kw_only=True)
class TransferState:
    """Say what is under way and how far it is, and how the last one ended; ``total`` is None where it is not known."""

    kind: TransferKind = TransferKind.IDLE
    file: str | None = None
    done: int = 0
    total: int | None = None
    last: TransferKind | None = None
    last_file: str | None = None
    last_error: str | None = None
    last_result: Mapping[str, Any] = field(default_factory=dict)


class Transfers:
    """Do one long job at a time; a second one is refused, not queued."""

    def __init__(self, hass: HomeAssistant) -> None:
        """Begin idle."""
        self._hass = hass
        self._task: asyncio.Task[Any] | None = None
        self._listeners: list[Callable[[], None]] = []
        self._told = 0.0
        self.state = TransferState()

    @callback
    def async_add_listener(self, listener: Callable[[], None]) -> CALLBACK_TYPE:
        """Call a function on the event loop after each change, at most every two seconds while a job goes on."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    async def async_run[T](
        self, kind: TransferKind, path: Path, work: Work[T], describe: Callable[[T], Mapping[str, Any]]
    ) -> T:
        """Do a job and return its answer; it goes on if the caller is cancelled, and ends with the entry.

        Raises BusyError while another one is under way, StoreError if the entry ended meanwhile, and what the job raises.
        """
        if self._task is not None:
            raise BusyError(f"{self.state.kind} is under way", kind=self.state.kind.value)
        self.state.kind, self.state.file, self.state.done, self.state.total = kind, str(path), 0, None
        self._tell()
        task = self._hass.async_create_background_task(self._async_do(work, describe), f"homeiq {kind}")
        self._task = task
        try:
            await asyncio.wait((task,))
        except asyncio.CancelledError:
            # Nobody will ask for its answer.
            task.add_done_callback(lambda done: done.cancelled() or done.exception())
            raise
        if task.cancelled():
            raise StoreError(f"HomeIQ stopped during the {kind}", reason="closed")
        return task.result()

    async def async_stop(self) -> None:
        """End with the entry: what is under way is broken off, and leaves nothing half done."""
        if (task := self._task) is not None:
            task.cancel()
            await asyncio.wait([task])

    async def _async_do[T](self, work: Work[T], describe: Callable[[T], Mapping[str, Any]]) -> T:
        state, error = self.state, "cancelled"
        result: Mapping[str, Any] = {}
        try:
            answer = await work(self._progress)
            error, result = "", describe(answer)
        except EngineError as err:
            error = err.placeholders.get("reason", err.code)
            LOGGER.warning("The %s of %s failed: %s", state.kind, state.file, err)
            raise
        else:
            return answer
        finally:
            self._task = None
            state.last, state.last_file, state.last_error = state.kind, state.file, error or None
            state.last_result = result
            state.kind, state.file = TransferKind.IDLE, None
            self._tell()

    def _progress(self, done: int, total: int | None) -> None:
        """Note the progress; in a thread it must not touch more than this."""
        self.state.done, self.state.total = done, total
        now = time.monotonic()
        if now - self._told >= _TELL_EVERY_S:
            self._told = now
            self._hass.loop.call_soon_threadsafe(self._tell)

    @callback
    def _tell(self) -> None:
        for listener in list(self._listeners):
            listener()
