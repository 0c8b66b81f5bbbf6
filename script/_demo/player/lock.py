"""Add the demo's locks."""

from typing import Any, override

from homeassistant.components.lock import LockEntity

from ._entity import DemoEntity, platform_of


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


async_setup_platform = platform_of("lock", DemoLock)
