"""Show which long job is under way and how far it is."""

from collections.abc import Mapping
from typing import Any, Final, override

from homeassistant.components.sensor import SensorDeviceClass, SensorEntity, SensorEntityDescription
from homeassistant.const import EntityCategory

from .coordinator import FiguresCoordinator
from .entity import HomeIQEntity
from .transfers import TransferKind, Transfers

_DESCRIPTION: Final = SensorEntityDescription(
    key="transfer",
    translation_key="transfer",
    device_class=SensorDeviceClass.ENUM,
    options=[kind.value for kind in TransferKind],
    entity_category=EntityCategory.DIAGNOSTIC,
)


class TransferSensor(HomeIQEntity, SensorEntity):
    """Show the job as the state, its progress and how the last one ended as attributes."""

    # They change every two seconds while a job goes on.
    _unrecorded_attributes = frozenset({"done", "total", "last_result"})

    def __init__(self, coordinator: FiguresCoordinator, transfers: Transfers) -> None:
        """Take what runs the jobs."""
        super().__init__(coordinator, _DESCRIPTION)
        self._transfers = transfers

    @override
    async def async_added_to_hass(self) -> None:
        """Follow the jobs, which do not wait for the coordinator's minute."""
        await super().async_added_to_hass()
        self.async_on_remove(self._transfers.async_add_listener(self.async_write_ha_state))

    @property
    @override
    def native_value(self) -> str:
        """Return what is under way."""
        return self._transfers.state.kind.value

    @property
    @override
    def extra_state_attributes(self) -> Mapping[str, Any]:
        """Return how far it is and how the last one ended."""
        state = self._transfers.state
        return {
            "file": state.file,
            "done": state.done,
            "total": state.total,
            "last": None if state.last is None else state.last.value,
            "last_file": state.last_file,
            "last_error": state.last_error,
            "last_result": dict(state.last_result),
        }
