"""Define what the demo's entities share: they are born from a description and can be moved by hand."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Final, TypedDict

from homeassistant.core import Context, HomeAssistant, callback
from homeassistant.helpers.entity import Entity
from homeassistant.helpers.entity_platform import AddEntitiesCallback
from homeassistant.helpers.typing import ConfigType, DiscoveryInfoType

DOMAIN: Final = "homeiq_demo"
PLATFORMS: Final = ("binary_sensor", "light", "lock", "sensor", "switch")


class Thing(TypedDict):
    """Describe one entity, as the demo wrote it."""

    entity_id: str
    name: str
    area: str | None
    initial: str
    attributes: dict[str, str]


class DemoEntity(Entity):
    """Hold a state as text and report each change at once."""

    _attr_should_poll = False

    def __init__(self, thing: Thing) -> None:
        """Stand in the initial state."""
        self._attr_unique_id = thing["entity_id"]
        self.entity_id = thing["entity_id"]
        self._attr_name = thing["name"]
        self._attr_device_class = thing["attributes"].get("device_class")
        self.standing = thing["initial"]

    @callback
    def move(self, state: str, context: Context | None = None) -> None:
        """Reach a state; with a context it was the device itself, without one a service call set it already."""
        if context is not None:
            self.async_set_context(context)
        self._attr_available = state != "unavailable"
        if self._attr_available:
            self.standing = state
        self.async_write_ha_state()


@dataclass(slots=True, kw_only=True)
class HomeData:
    """Hold the descriptions of all entities and the ones that their platforms have added."""

    things: list[Thing]
    entities: dict[str, DemoEntity] = field(default_factory=dict)


def platform_of(domain: str, kind: type[DemoEntity]) -> Callable[..., Coroutine[Any, Any, None]]:
    """Return a platform's set-up function, which adds all things of the domain."""

    async def async_setup_platform(
        hass: HomeAssistant,
        config: ConfigType,
        async_add_entities: AddEntitiesCallback,
        discovery_info: DiscoveryInfoType | None = None,
    ) -> None:
        data: HomeData = hass.data[DOMAIN]
        added = [kind(thing) for thing in data.things if thing["entity_id"].startswith(f"{domain}.")]
        data.entities.update({entity.entity_id: entity for entity in added})
        async_add_entities(added)

    return async_setup_platform
