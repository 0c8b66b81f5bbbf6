"""Gather HomeIQ's figures every minute, for entities, services and diagnostics."""

from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final, override

from homeassistant.core import HomeAssistant
from homeassistant.helpers.update_coordinator import DataUpdateCoordinator
from homeassistant.util import dt as dt_util

from .const import DOMAIN, LOGGER
from .engine.model import StoreError
from .engine.pipeline import Pipeline, PipelineStats
from .engine.store import Store, StoreStats

if TYPE_CHECKING:
    from .runtime import HomeIQConfigEntry

UPDATE_INTERVAL: Final = timedelta(minutes=1)
# A loss stays a problem for an hour: long enough to be seen, short enough to clear by itself.
_LOSS_IS_NEWS_S: Final = 3_600.0
_QUIET_FACTOR: Final = 10.0
_QUIET_FLOOR_S: Final = 60.0
_FULL_SHARE: Final = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Hold one moment's figures; ``store`` is None while the store cannot be read, ``lost`` counts all times."""

    pipeline: PipelineStats
    store: StoreStats | None
    lost: int
    problems: tuple[str, ...]


class FiguresCoordinator(DataUpdateCoordinator[Figures]):
    """Read the figures; reading never fails, it only knows less."""

    config_entry: HomeIQConfigEntry

    def __init__(self, hass: HomeAssistant, entry: HomeIQConfigEntry, store: Store, pipeline: Pipeline) -> None:
        """Take the parts that know the figures."""
        super().__init__(
            hass, LOGGER, config_entry=entry, name=DOMAIN, update_interval=UPDATE_INTERVAL, always_update=True
        )
        self._store = store
        self._pipeline = pipeline
        self._day_start_us: int | None = None
        self._lost_before = 0

    async def async_recount(self) -> None:
        """Count today's events anew, because some were deleted or came by another way, and show all figures."""
        self._day_start_us = None
        await self.async_refresh()

    @override
    async def _async_update_data(self) -> Figures:
        await self._async_begin_day()
        before = self._pipeline.stats()
        try:
            store = await self._store.stats()
        except StoreError as err:
            LOGGER.debug("The store cannot be read: %s", err)
            store = None
        pipeline = self._pipeline.stats()
        counted = pipeline.lost - pipeline.lost_uncounted
        if store is not None and counted == before.lost - before.lost_uncounted:
            # Remembered, so that the total neither drops nor jumps while the store cannot be read.
            self._lost_before = store.counters.get("lost", 0) - counted
        return Figures(
            pipeline=pipeline,
            store=store,
            lost=self._lost_before + pipeline.lost,
            problems=_problems(pipeline),
        )

    async def _async_begin_day(self) -> None:
        """Begin to count anew at local midnight and at start, from what is stored."""
        start_us = round(dt_util.start_of_local_day().timestamp() * 1_000_000)
        if start_us == self._day_start_us:
            return
        try:
            await self._pipeline.begin_day(start_us, partial(self._store.counts_since, start_us))
        except StoreError as err:
            LOGGER.debug("Today's events cannot be counted yet: %s", err)
            return
        self._day_start_us = start_us


def _problems(stats: PipelineStats) -> tuple[str, ...]:
    """Name what is wrong with ingestion now; nothing named means that all is well."""
    quiet = (
        stats.quiet_s is not None
        and stats.usual_gap_s is not None
        and (stats.quiet_s > max(_QUIET_FACTOR * stats.usual_gap_s, _QUIET_FLOOR_S))
    )
    named = {
        "events_lost": stats.lost_age_s is not None and stats.lost_age_s < _LOSS_IS_NEWS_S,
        "write_errors": stats.failing is not None,
        "buffer_nearly_full": stats.buffer_depth > _FULL_SHARE * stats.buffer_limit,
        "no_events": quiet,
    }
    return tuple(name for name, active in named.items() if active)
