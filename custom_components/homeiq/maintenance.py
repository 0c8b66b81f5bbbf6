"""Keep the store summed up, small and sound in the background: roll-ups, retention, checks, the extract for backups."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.event import async_call_later, async_track_time_change, async_track_time_interval
from homeassistant.util import dt as dt_util

from .backup_guard import BackupGuard
from .const import LOGGER
from .engine.model import StoreError
from .engine.store import (
    Essentials,
    Retention,
    RetentionPolicy,
    RetentionReport,
    RollUps,
    Store,
    full_check,
    store_size,
)
from .places import BackupContent
from .repairs import (
    ISSUE_CHECK_FAILED,
    ISSUE_SIZE_CAP,
    ISSUE_SIZE_CAP_NEAR,
    async_report_unreplicated,
    async_set_issue,
)
from .times import DAY_US, now_us

_EVERY: Final = timedelta(minutes=10)
# When the home starts there is more important work.
_FIRST_AFTER_S: Final = 60.0
# Off-peak in the home's time, and not at a full minute at which the whole home has something to do.
_NIGHT_HOUR, _NIGHT_MINUTE, _NIGHT_SECOND = 4, 7, 23
_GIVE_BACK_S: Final = 60.0
_GIVE_BACK_AT_CAP_S: Final = 10.0
_CHECK_EVERY_US: Final = 7 * DAY_US
_META_CHECKED: Final = "full_check_us"


class Maintenance:
    """Do what the store needs beside taking events, one thing at a time and nothing while a backup runs."""

    def __init__(
        self,
        hass: HomeAssistant,
        *,
        store: Store,
        guard: BackupGuard,
        essentials: Essentials,
        policy: Callable[[], Awaitable[RetentionPolicy]],
        followers: Callable[[], Mapping[str, str]],
        acknowledged: Callable[[], Awaitable[Mapping[str, int]]],
        content: Callable[[], BackupContent],
    ) -> None:
        """Take the store and what decides: the policy, the followers that are full copies, what the backups hold.

        ``followers`` gives their titles and ``acknowledged`` how far they have come, by the names that the store knows.
        """
        self._hass = hass
        self._store = store
        self._guard = guard
        self._essentials = essentials
        self._policy = policy
        self._followers = followers
        self._acknowledged = acknowledged
        self._content = content
        self._one = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._stoppers: list[Callable[[], None]] = []
        self.rollups = RollUps(store, _time_zone)
        self._retention = Retention(store, self.rollups)
        self.report: RetentionReport | None = None

    @callback
    def async_start(self) -> None:
        """Begin: roll up in a minute and every ten minutes, everything else at night."""
        self._stoppers = [
            async_track_time_interval(self._hass, self._tick, _EVERY, name="homeiq roll-ups"),
            async_track_time_change(
                self._hass, self._tonight, hour=_NIGHT_HOUR, minute=_NIGHT_MINUTE, second=_NIGHT_SECOND
            ),
        ]
        self._stoppers.append(async_call_later(self._hass, _FIRST_AFTER_S, self._first))

    async def async_stop(self) -> None:
        """End with the entry; what is under way stops at its next step."""
        stoppers, self._stoppers = self._stoppers, []
        for stop in stoppers:
            stop()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def async_roll_up(self) -> int:
        """Bring the roll-ups up to date and return how many were written; raises StoreError."""
        return await self.rollups.update(now_us())

    async def async_retain(self) -> RetentionReport:
        """Roll up, delete what is too old or too much, and tell of what a replica holds back; raises StoreError."""
        async with self._one:
            return await self._async_retain()

    async def async_purge_before(self, time_us: int) -> int:
        """Roll up, then delete the events of all days before the one around a time; raises StoreError."""
        return await self._retention.purge_before(time_us, now_us(), await self._acknowledged())

    async def async_forget_extract(self) -> None:
        """Take what was deleted out of the extract for backups, at once; raises StoreError."""
        async with self._one:
            if self._content() is BackupContent.ESSENTIALS:
                await self._essentials.rebuild()
            else:
                await self._essentials.remove()

    async def async_check(self) -> str | None:
        """Look at the whole file, and return SQLite's words about the first fault, None if it is sound."""
        fault = await full_check(self._store)
        async_set_issue(
            self._hass,
            ISSUE_CHECK_FAILED,
            active=fault is not None,
            placeholders={"error": fault or "", "path": str(self._store.path)},
        )
        return fault

    @callback
    def _first(self, _: datetime) -> None:
        self._begin(self._async_first, "first roll-up")

    @callback
    def _tick(self, _: datetime) -> None:
        self._begin(self._async_tick, "roll-ups")

    @callback
    def _tonight(self, _: datetime) -> None:
        self._begin(self._async_night, "night")

    @callback
    def _begin(self, work: Callable[[], Awaitable[None]], name: str) -> None:
        task = self._hass.async_create_background_task(self._async_alone(work, name), f"homeiq {name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _async_alone(self, work: Callable[[], Awaitable[None]], name: str) -> None:
        """Do one thing when nothing else is done and no backup runs; a failure is told, and the next time may pass."""
        async with self._one:
            await self._guard.async_over()
            try:
                await work()
            except StoreError as err:
                LOGGER.warning("The store could not be looked after (%s): %s", name, err)

    async def _async_first(self) -> None:
        await self._async_tick()
        if self._content() is BackupContent.ESSENTIALS:
            await self._essentials.update()

    async def _async_tick(self) -> None:
        await self.async_roll_up()
        policy = await self._policy()
        size = await asyncio.to_thread(store_size, self._store.path)
        if policy.max_bytes is not None and size > policy.max_bytes:
            await self._async_retain()
            # Not off-peak, but only what is given back makes room.
            await self._retention.give_back(_GIVE_BACK_AT_CAP_S)

    async def _async_night(self) -> None:
        await self._async_retain()
        await self._retention.give_back(_GIVE_BACK_S)
        if self._content() is BackupContent.ESSENTIALS:
            await self._essentials.rebuild()
        if now_us() - int(await self._store.get_meta(_META_CHECKED) or 0) >= _CHECK_EVERY_US:
            await self.async_check()
            await self._store.set_meta(_META_CHECKED, str(now_us()))

    async def _async_retain(self) -> RetentionReport:
        policy = await self._policy()
        report = await self._retention.run(now_us(), policy, await self._acknowledged())
        self.report = report
        LOGGER.debug("Deleted %d events; %d bytes are left", report.purged, report.size_bytes)
        self._tell(report, policy)
        return report

    @callback
    def _tell(self, report: RetentionReport, policy: RetentionPolicy) -> None:
        titles = self._followers()
        shown = {
            "size": _megabytes(report.size_bytes),
            "cap": _megabytes(policy.max_bytes or 0),
            "replicas": ", ".join(titles.get(name, name) for name in report.held_back_by),
        }
        async_set_issue(
            self._hass, ISSUE_SIZE_CAP_NEAR, active=report.near_cap and not report.over_cap, placeholders=shown
        )
        async_set_issue(self._hass, ISSUE_SIZE_CAP, active=report.over_cap, placeholders=shown)
        if lost := {name: count for name, count in report.unreplicated.items() if count}:
            counted = ", ".join(f"{titles.get(name, name)}: {count}" for name, count in lost.items())
            LOGGER.warning(
                "Events were deleted that a replica never took, because the size cap is reached: %s", counted
            )
            async_report_unreplicated(self._hass, counted)


def _time_zone() -> ZoneInfo:
    """Return the home's time zone; Home Assistant's is always one of the database's, which its type does not say."""
    zone = dt_util.get_default_time_zone()
    return zone if isinstance(zone, ZoneInfo) else ZoneInfo("UTC")


def _megabytes(size: int) -> str:
    return f"{size / 1_000_000:.0f} MB"
