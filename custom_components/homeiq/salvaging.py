"""Bring back what can be read of a store that was set aside, in the background, and say exactly what was saved."""

import asyncio
from datetime import datetime
import json
from pathlib import Path
from typing import Final

from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.helpers.event import async_call_later

from .backup_guard import BackupGuard
from .const import LOGGER
from .engine.model import BusyError, StoreError, StoreNewerError, TransferError
from .engine.store import ImportReport, SalvageReport, Store, damaged_files, import_events, remove_files, salvage
from .repairs import async_report_damage, async_report_salvage
from .transfers import Progress, TransferKind, Transfers

_META_DONE: Final = "salvaged"
_AFTER_S: Final = 60.0

type _Answer = tuple[SalvageReport, ImportReport]


class Salvager:
    """Salvage damaged files one after the other; each once, also if a restart comes in between."""

    def __init__(self, hass: HomeAssistant, store: Store, transfers: Transfers, guard: BackupGuard) -> None:
        """Take the store that is to have what is saved."""
        self._hass = hass
        self._store = store
        self._transfers = transfers
        self._guard = guard
        self._task: asyncio.Task[None] | None = None
        self._cancel_timer: CALLBACK_TYPE | None = None

    @callback
    def async_damaged(self, path: Path) -> None:
        """Tell that a file was set aside, and begin to save what is in it."""
        async_report_damage(self._hass, str(path))
        self.async_start()

    @callback
    def async_start(self) -> None:
        """Look in a minute for files that were set aside and not salvaged yet; what is new has to be kept first."""
        if self._cancel_timer is None:
            self._cancel_timer = async_call_later(self._hass, _AFTER_S, self._begin)

    @callback
    def _begin(self, _: datetime) -> None:
        self._cancel_timer = None
        if self._task is not None and not self._task.done():
            self.async_start()
            return
        self._task = self._hass.async_create_background_task(self._async_run(), "homeiq salvage")

    async def async_stop(self) -> None:
        """End with the entry; a file that is not done is begun anew at the next set-up."""
        if self._cancel_timer is not None:
            self._cancel_timer()
            self._cancel_timer = None
        if self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _async_run(self) -> None:
        try:
            for path in await self._async_waiting():
                await self._async_salvage(path)
        except (StoreError, BusyError) as err:
            LOGGER.debug("Salvaging waits: %s", err)
            self.async_start()

    async def _async_waiting(self) -> list[Path]:
        found = await asyncio.to_thread(damaged_files, self._store.path)
        done = await self._async_done() if found else frozenset()
        return [path for path in found if path.name not in done]

    async def _async_done(self) -> frozenset[str]:
        return frozenset(json.loads(await self._store.get_meta(_META_DONE) or "[]"))

    async def _async_salvage(self, path: Path) -> None:
        # Under a name of its own: whoever was killed here begins with an empty one.
        target = path.with_name(path.name.replace(".damaged-", ".salvaged-"))

        async def work(progress: Progress) -> _Answer:
            await asyncio.to_thread(remove_files, target)
            try:
                saved = await salvage(path, target, progress=progress)
                brought = await import_events(self._store, target, progress=progress)
            finally:
                await asyncio.to_thread(remove_files, target)
            return saved, brought

        await self._guard.async_over()
        try:
            saved, _ = await self._transfers.async_run(TransferKind.SALVAGE, path, work, _describe)
        except (TransferError, StoreNewerError) as err:
            # Not to be tried at each start: the file is kept, and a person has been told of it.
            LOGGER.warning("Nothing could be saved of %s: %s", path, err)
        else:
            lost = "?" if saved.lost is None else str(saved.lost)
            LOGGER.warning("Of %s %d events were saved; lost: %s", path, saved.saved, lost)
            async_report_salvage(self._hass, path=str(path), saved=saved.saved, lost=lost)
        await self._store.set_meta(_META_DONE, json.dumps(sorted({*await self._async_done(), path.name})))


def _describe(answer: _Answer) -> dict[str, int | None]:
    saved, brought = answer
    return {
        "saved": saved.saved,
        "incomplete": saved.incomplete,
        "lost": saved.lost,
        "stored": brought.stored,
        "duplicates": brought.duplicates,
        "forgotten": brought.forgotten,
    }
