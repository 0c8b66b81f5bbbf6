"""Add the demo's switches."""

from typing import Any, override

from homeassistant.components.switch import SwitchEntity

from ._entity import DemoEntity, platform_of


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


async_setup_platform = platform_of("switch", DemoSwitch)
