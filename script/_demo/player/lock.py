"""Add the demo's locks."""

from typing import Any, override

from homeassistant.components.lock import LockEntity
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddEntitiesCallback
from homeassistant.helpers.typing import ConfigType, DiscoveryInfoType

from ._entity import DemoEntity, add_things


class DemoLock(DemoEntity, LockEntity):
    """Be a lock without a code."""

    @property
    @override
    def is_locked(self) -> bool:
        """Return whether it is locked."""
        return self.standing == "locked"

    @override
    async def async_lock(self, **kwargs: Any) -> None:
        """Lock it."""
        self.move("locked")

    @override
    async def async_unlock(self, **kwargs: Any) -> None:
        """Unlock it."""
        self.move("unlocked")


async def async_setup_platform(
    hass: HomeAssistant,
    config: ConfigType,
    async_add_entities: AddEntitiesCallback,
    discovery_info: DiscoveryInfoType | None = None,
) -> None:
    """Add them."""
    add_things(hass, "lock", DemoLock, async_add_entities)
