"""Add the demo's switches."""

from typing import Any, override

from homeassistant.components.switch import SwitchEntity
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddEntitiesCallback
from homeassistant.helpers.typing import ConfigType, DiscoveryInfoType

from ._entity import DemoEntity, add_things


class DemoSwitch(DemoEntity, SwitchEntity):
    """Be a switch."""

    @property
    @override
    def is_on(self) -> bool:
        """Return whether it is on."""
        return self.standing == "on"

    @override
    async def async_turn_on(self, **kwargs: Any) -> None:
        """Turn it on."""
        self.move("on")

    @override
    async def async_turn_off(self, **kwargs: Any) -> None:
        """Turn it off."""
        self.move("off")


async def async_setup_platform(
    hass: HomeAssistant,
    config: ConfigType,
    async_add_entities: AddEntitiesCallback,
    discovery_info: DiscoveryInfoType | None = None,
) -> None:
    """Add them."""
    add_things(hass, "switch", DemoSwitch, async_add_entities)
