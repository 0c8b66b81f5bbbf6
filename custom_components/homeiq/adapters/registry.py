"""Know where every entity stands: a picture of the registries that follows their changes."""

from collections.abc import Callable, Mapping
from time import monotonic
from types import MappingProxyType
from typing import Any, Final, override

from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.helpers import area_registry as ar, device_registry as dr, entity_registry as er

from ..engine.model import EntityFacts
from ..engine.ports import EntityFactsSource

# The last events of a removed or renamed entity are judged up to a batch later, or when a full disk has room again.
_REMEMBER_S: Final = 300.0


class HassEntityFacts(EntityFactsSource):
    """Keep the facts of all registered entities; a change of one entity costs one entity, not the home.

    A removed or renamed entity is remembered for some minutes: the state machine tells of its end after the registry
    does, and the filter must still know that it was excluded, or our own.
    """

    def __init__(self, hass: HomeAssistant) -> None:
        """Take the registries; the first snapshot reads them."""
        self._entities = er.async_get(hass)
        self._devices = dr.async_get(hass)
        self._areas = ar.async_get(hass)
        self._facts: dict[str, EntityFacts] = {}
        self._picture: Mapping[str, EntityFacts] = MappingProxyType({})
        self._changed: set[str] = set()
        self._all_changed = True
        self._gone: dict[str, tuple[float, EntityFacts]] = {}
        self._bus = hass.bus

    @callback
    def async_follow(self) -> Callable[[], None]:
        """Follow the registries' events from now on; return a function that stops it."""
        removers = [
            self._bus.async_listen(er.EVENT_ENTITY_REGISTRY_UPDATED, self._entity_changed),
            self._bus.async_listen(dr.EVENT_DEVICE_REGISTRY_UPDATED, self._device_changed),
            self._bus.async_listen(ar.EVENT_AREA_REGISTRY_UPDATED, self._area_changed),
        ]

        @callback
        def stop() -> None:
            for remove in removers:
                remove()

        return stop

    @override
    def snapshot(self) -> Mapping[str, EntityFacts]:
        if not (self._all_changed or self._changed):
            return self._picture
        now = monotonic()
        self._gone = {entity_id: each for entity_id, each in self._gone.items() if now - each[0] < _REMEMBER_S}
        if self._all_changed:
            self._facts = {entity_id: facts for entity_id, (_, facts) in self._gone.items()}
            self._facts |= {entity_id: self._read(entry) for entity_id, entry in self._entities.entities.items()}
        else:
            self._facts = self._facts.copy()
            for entity_id in self._changed:
                entry = self._entities.async_get(entity_id)
                if entry is not None:
                    self._facts[entity_id] = self._read(entry)
                elif entity_id not in self._gone:
                    self._facts.pop(entity_id, None)
        self._all_changed = False
        self._changed = set()
        self._picture = MappingProxyType(self._facts)
        return self._picture

    @callback
    def _entity_changed(self, event: Event[er.EventEntityRegistryUpdatedData]) -> None:
        data = event.data
        entity_id = data["entity_id"]
        self._changed.add(entity_id)
        if data["action"] == "remove":
            self._remember(entity_id)
        elif data["action"] == "update" and (old := data.get("old_entity_id")) is not None:
            self._changed.add(old)
            self._remember(old)

    def _remember(self, entity_id: str) -> None:
        if (facts := self._facts.get(entity_id)) is not None:
            self._gone[entity_id] = (monotonic(), facts)

    @callback
    def _device_changed(self, event: Event[dr.EventDeviceRegistryUpdatedData]) -> None:
        entries = er.async_entries_for_device(self._entities, event.data["device_id"], include_disabled_entities=True)
        self._changed.update(entry.entity_id for entry in entries)

    @callback
    def _area_changed(self, event: Event[Any]) -> None:  # noqa: ARG002
        self._all_changed = True

    def _read(self, entry: er.RegistryEntry) -> EntityFacts:
        device = self._devices.async_get(entry.device_id) if entry.device_id is not None else None
        area_id = entry.area_id or (device.area_id if device is not None else None)
        area = self._areas.async_get_area(area_id) if area_id is not None else None
        labels = entry.labels | (device.labels if device is not None else set())
        return EntityFacts(
            registry_id=entry.id,
            device_id=entry.device_id,
            area_id=area_id,
            floor_id=area.floor_id if area is not None else None,
            integration=entry.platform,
            device_class=entry.device_class or entry.original_device_class,
            unit=entry.unit_of_measurement,
            labels=tuple(sorted(labels)),
        )
