"""Gather the replicas' figures every minute, and at once when one changes its state."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Final, override

from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.debounce import Debouncer
from homeassistant.helpers.update_coordinator import DataUpdateCoordinator

from .const import DOMAIN, LOGGER
from .engine.model import EngineError
from .engine.replica import Replica, ReplicaStats

if TYPE_CHECKING:
    from .runtime import HomeIQConfigEntry

UPDATE_INTERVAL: Final = timedelta(minutes=1)
# A server that comes and goes changes a replica's state several times a second; people need not see each.
_COOLDOWN_S: Final = 1.0

type ReplicaFigures = Mapping[str, ReplicaStats]
"""The figures by the subentry's id."""


class ReplicaCoordinator(DataUpdateCoordinator[ReplicaFigures]):
    """Read the figures of all replicas; reading never fails, it shows older ones while the store cannot be read."""

    config_entry: HomeIQConfigEntry

    def __init__(
        self, hass: HomeAssistant, entry: HomeIQConfigEntry, replicas: Callable[[], Mapping[str, Replica]]
    ) -> None:
        """Take where the running replicas are found."""
        super().__init__(
            hass,
            LOGGER,
            config_entry=entry,
            name=f"{DOMAIN} replicas",
            update_interval=UPDATE_INTERVAL,
            always_update=True,
            request_refresh_debouncer=Debouncer(hass, LOGGER, cooldown=_COOLDOWN_S, immediate=True),
        )
        self._replicas = replicas
        self.data = {}

    @callback
    def async_changed(self) -> None:
        """Show that a replica has changed its state, its circuit or the number of its dead letters."""
        if not self.hass.is_stopping:
            self.config_entry.async_create_background_task(
                self.hass, self.async_request_refresh(), f"{DOMAIN} replicas' figures", eager_start=False
            )

    @override
    async def _async_update_data(self) -> ReplicaFigures:
        figures: dict[str, ReplicaStats] = {}
        # A copy: while one is asked, another may be added or removed.
        for subentry_id, replica in list(self._replicas().items()):
            try:
                figures[subentry_id] = await replica.fresh_stats()
            except EngineError as err:
                LOGGER.debug("A replica's lag cannot be read: %s", err)
                figures[subentry_id] = replica.stats
        return figures
