"""Add the demo's binary sensors."""

from typing import override

from homeassistant.components.binary_sensor import BinarySensorEntity
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddEntitiesCallback
from homeassistant.helpers.typing import ConfigType, DiscoveryInfoType

from ._entity import DemoEntity, add_things


class DemoBinarySensor(DemoEntity, BinarySensorEntity):
    """Be a binary sensor."""

    @property
    @override
    def is_on(self) -> bool:
        """Return whether it is on."""
        return self.standing == "on"


async def async_setup_platform(
    hass: HomeAssistant,
    config: ConfigType,
    async_add_entities: AddEntitiesCallback,
    discovery_info: DiscoveryInfoType | None = None,
) -> None:
    """Add them."""
    add_things(hass, "binary_sensor", DemoBinarySensor, async_add_entities)
