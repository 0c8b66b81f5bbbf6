"""Add the demo's lights."""

from typing import Any, override

from homeassistant.components.light import LightEntity
from homeassistant.components.light.const import ColorMode

from ._entity import DemoEntity, platform_of


class DemoLight(DemoEntity, LightEntity):
    """Be a light that can only be on or off."""

    _attr_color_mode = ColorMode.ONOFF
    _attr_supported_color_modes = {ColorMode.ONOFF}  # noqa: RUF012 - as core writes it

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


async_setup_platform = platform_of("light", DemoLight)
