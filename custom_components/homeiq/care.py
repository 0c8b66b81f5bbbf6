"""Put together what looks after the store of one config entry: backups, long jobs, maintenance."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from homeassistant.core import HomeAssistant, callback

from .backup_guard import BackupGuard
from .engine.pipeline import Pipeline
from .engine.store import CheckpointHold, Essentials, RetentionPolicy, Store
from .maintenance import Maintenance
from .places import BackupContent, Places, Settled
from .repairs import ISSUE_BACKUP_CONTENT, PASSING_STORE_ISSUES, async_set_issue
from .salvaging import Salvager
from .settings import retention_policy, size_cap
from .transfers import Transfers

type Options = Callable[[], Mapping[str, Any]]


class StoreCare:
    """Look after a store as long as its entry is loaded."""

    def __init__(
        self,
        hass: HomeAssistant,
        *,
        places: Places,
        settled: Settled,
        store: Store,
        pipeline: Pipeline,
        options: Options,
        followers: Callable[[], Mapping[str, str]],
        acknowledged: Callable[[], Awaitable[Mapping[str, int]]],
    ) -> None:
        """Put the parts together; nothing runs yet."""
        self._hass = hass
        self._settled = settled
        self._options = options
        self.places = places
        essentials = Essentials(store, places.essentials)
        self.guard = BackupGuard(hass, pipeline, CheckpointHold(store), essentials, self._content)
        self.transfers = Transfers(hass)
        self.salvager = Salvager(hass, store, self.transfers, self.guard)
        self.maintenance = Maintenance(
            hass,
            store=store,
            guard=self.guard,
            essentials=essentials,
            policy=self._async_policy,
            followers=followers,
            acknowledged=acknowledged,
            content=self._content,
        )

    @property
    def content(self) -> BackupContent:
        """Return what of the store is in Home Assistant's backups until the next set-up: all or the essentials."""
        return self._settled.content

    @callback
    def async_start(self) -> None:
        """Begin to look after the store."""
        async_set_issue(
            self._hass,
            ISSUE_BACKUP_CONTENT,
            active=self._settled.problem is not None,
            placeholders={"path": str(self._settled.path), "error": self._settled.problem or ""},
        )
        self.maintenance.async_start()
        self.salvager.async_start()

    async def async_stop(self) -> None:
        """End with the entry, before the store is closed."""
        await self.salvager.async_stop()
        await self.transfers.async_stop()
        await self.maintenance.async_stop()
        await self.guard.async_stop()
        for issue in PASSING_STORE_ISSUES:
            async_set_issue(self._hass, issue, active=False)

    def as_json(self) -> dict[str, Any]:
        """Return what a report should say: no paths and no titles."""
        report, transfer = self.maintenance.report, self.transfers.state
        return {
            "backup_content": self.content.value,
            "moved_as_wanted": self._settled.problem is None,
            "brought_back": self._settled.brought_back,
            "backup_under_way": self.guard.held,
            "retention": None
            if report is None
            else {
                "purged": report.purged,
                "unreplicated": sum(report.unreplicated.values()),
                "size_bytes": report.size_bytes,
                "used_bytes": report.used_bytes,
                "near_cap": report.near_cap,
                "over_cap": report.over_cap,
                "held_back_by": len(report.held_back_by),
            },
            "transfer": {
                "kind": transfer.kind.value,
                "last": None if transfer.last is None else transfer.last.value,
                "last_error": transfer.last_error,
            },
        }

    async def async_size_cap(self) -> int:
        """Return how many bytes the store may take."""
        return await self._hass.async_add_executor_job(size_cap, self._options(), self.places)

    def _content(self) -> BackupContent:
        return self.content

    async def _async_policy(self) -> RetentionPolicy:
        return await self._hass.async_add_executor_job(retention_policy, self._options(), self.places)
