"""Show whether HomeIQ keeps what it hears."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, override

from homeassistant.components.binary_sensor import (
    BinarySensorDeviceClass,
    BinarySensorEntity,
    BinarySensorEntityDescription,
)
from homeassistant.const import EntityCategory
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .coordinator import Figures
from .entity import HomeIQEntity
from .replica_entities import async_add_replica_binary_sensors
from .runtime import HomeIQConfigEntry

PARALLEL_UPDATES = 0


@dataclass(frozen=True, kw_only=True)
class HomeIQBinarySensorDescription(BinarySensorEntityDescription):
    """Describe a binary sensor by how it is read from the figures."""

    is_on: Callable[[Figures], bool]
    attributes: Callable[[Figures], Mapping[str, Any]]
    entity_category: EntityCategory | None = EntityCategory.DIAGNOSTIC


BINARY_SENSORS = (
    HomeIQBinarySensorDescription(
        key="ingestion_problem",
        translation_key="ingestion_problem",
        device_class=BinarySensorDeviceClass.PROBLEM,
        is_on=lambda figures: bool(figures.problems),
        attributes=lambda figures: {"problems": list(figures.problems)},
    ),
    HomeIQBinarySensorDescription(
        key="store_connectivity",
        translation_key="store_connectivity",
        device_class=BinarySensorDeviceClass.CONNECTIVITY,
        is_on=lambda figures: figures.store is not None and figures.pipeline.failing is None,
        attributes=lambda figures: {"reason": figures.pipeline.failing},
    ),
)


async def async_setup_entry(
    hass: HomeAssistant, entry: HomeIQConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add the binary sensors."""
    coordinator = entry.runtime_data.coordinator
    async_add_entities(HomeIQBinarySensor(coordinator, description) for description in BINARY_SENSORS)
    async_add_replica_binary_sensors(hass, entry, async_add_entities)


class HomeIQBinarySensor(HomeIQEntity, BinarySensorEntity):
    """Show one yes or no."""

    entity_description: HomeIQBinarySensorDescription

    @property
    @override
    def is_on(self) -> bool:
        """Return the answer."""
        return self.entity_description.is_on(self.coordinator.data)

    @property
    @override
    def extra_state_attributes(self) -> Mapping[str, Any]:
        """Return why."""
        return self.entity_description.attributes(self.coordinator.data)
