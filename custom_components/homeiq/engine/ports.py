"""Name everything the engine needs from outside, as Protocols that adapters fulfil."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from .model import EntityFacts, Event, EventPage, EventQuery, Finding, Json, RawEvent


class Clock(Protocol):
    """Tell the time."""

    def now_us(self) -> int:
        """Return the time in microseconds since the epoch, UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never run backwards."""
        ...


class EntityFactsSource(Protocol):
    """Know where every entity stands in the home."""

    def snapshot(self) -> Mapping[str, EntityFacts]:
        """Return the facts by entity id, an immutable picture; call it on the event loop only.

        The same object is returned until something in the home's registries has changed.
        """
        ...


class EventDecoder(Protocol):
    """Read what was buffered on the event loop."""

    def decode(self, item: object) -> RawEvent | None:
        """Return the raw event in a buffered item, None if it is of no interest; runs in a thread."""
        ...


class EventSink(Protocol):
    """Keep events for good."""

    async def append(
        self, events: Sequence[Event], counters: Mapping[str, int] | None = None, *, dedupe: bool = False
    ) -> int:
        """Commit the events and counter increments in one transaction; return how many events were stored.

        With ``dedupe`` an event that is there already (same entity, time, kind and state) is left out.
        Raises StoreError if nothing was committed.
        """
        ...


class HistoryReader(Protocol):
    """Answer questions about the past."""

    async def query(self, query: EventQuery) -> EventPage:
        """Return one page of events; raises QueryError for a bad query and StoreError if reading failed."""
        ...


class LiveHome(Protocol):
    """Know the home as it is now, for judging drafts; None means that it cannot be known."""

    def entity_exists(self, entity_id: str) -> bool | None:
        """Return whether the entity has a state or a registry entry."""
        ...

    def service_exists(self, domain: str, service: str) -> bool | None:
        """Return whether the service is registered."""
        ...

    def integration_loaded(self, domain: str) -> bool | None:
        """Return whether the integration is set up."""
        ...

    def device_exists(self, device_id: str) -> bool | None:
        """Return whether the device is in the registry."""
        ...

    def area_exists(self, area_id: str) -> bool | None:
        """Return whether the area is in the registry."""
        ...

    def floor_exists(self, floor_id: str) -> bool | None:
        """Return whether the floor is in the registry."""
        ...

    def label_exists(self, label_id: str) -> bool | None:
        """Return whether the label is in the registry."""
        ...

    def check_service_data(self, domain: str, service: str, data: Mapping[str, Json]) -> str | None:
        """Return why the service would refuse this data, None if it takes it or cannot be asked."""
        ...


class AutomationValidator(Protocol):
    """Validate a configuration as Home Assistant itself would."""

    async def validate(self, config: Mapping[str, Json]) -> Sequence[Finding]:
        """Return Home Assistant's objections; only ever called with a configuration that passed the lint."""
        ...
