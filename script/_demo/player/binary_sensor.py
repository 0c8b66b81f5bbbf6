"""Add the demo's binary sensors."""

from typing import override

from homeassistant.components.binary_sensor import BinarySensorEntity

from ._entity import DemoEntity, platform_of


class DemoBinarySensor(DemoEntity, BinarySensorEntity):
    """Be a binary sensor."""

    @property
    @override
    def is_on(self) -> bool:
        """Return whether it is on."""
        return self.standing == "on"


async_setup_platform = platform_of("binary_sensor", DemoBinarySensor)
