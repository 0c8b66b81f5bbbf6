"""Give all entities of HomeIQ one service device."""

from homeassistant.helpers.device_registry import DeviceEntryType, DeviceInfo
from homeassistant.helpers.entity import EntityDescription
from homeassistant.helpers.update_coordinator import CoordinatorEntity

from .const import DOMAIN
from .coordinator import FiguresCoordinator


def main_device(entry_id: str) -> DeviceInfo:
    """Return the device that HomeIQ itself is."""
    return DeviceInfo(
        identifiers={(DOMAIN, entry_id)},
        entry_type=DeviceEntryType.SERVICE,
        name="HomeIQ",
        manufacturer="HomeIQ",
    )


class HomeIQEntity(CoordinatorEntity[FiguresCoordinator]):
    """Show a figure of HomeIQ."""

    _attr_has_entity_name = True

    def __init__(self, coordinator: FiguresCoordinator, description: EntityDescription) -> None:
        """Name the entity after its description."""
        super().__init__(coordinator)
        entry = coordinator.config_entry
        self.entity_description = description
        self._attr_unique_id = f"{entry.entry_id}_{description.key}"
        self._attr_device_info = main_device(entry.entry_id)
