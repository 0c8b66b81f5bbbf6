"""Make events of buffered items: decode, filter, find the cause, add the facts."""

from collections.abc import Mapping
from dataclasses import replace

from ..model import NO_FACTS, EntityFacts, Event, EventKind, RawEvent
from ..ports import EventDecoder
from ._filter import EventFilter, FilterSettings
from ._normalise import (
    PayloadEncoder,
    clean_id,
    clean_state,
    clean_time,
    encode,
    held_us,
    is_attribute_only,
)
from ._origin import OriginTracker


class Enricher:
    """Turn buffered items into events, in order; used by one thread at a time."""

    def __init__(self, decoder: EventDecoder, settings: FilterSettings, *, started: bool) -> None:
        """Begin with the user's filter; ``started`` says whether the home has finished starting up."""
        self._decoder = decoder
        self._origins = OriginTracker(started=started)
        self._settings = settings
        self._filter = EventFilter(settings)
        self._payloads = PayloadEncoder(positions=settings.positions)
        # Each entity's facts as its states tell them, as long as neither the registries nor the states tell others.
        self._told: dict[str, tuple[EntityFacts, str | None, str | None, EntityFacts]] = {}

    @property
    def settings(self) -> FilterSettings:
        """Return the filter in use."""
        return self._settings

    def use_settings(self, settings: FilterSettings) -> None:
        """Take another filter from the next event on; not while events are being made in a thread."""
        self._settings = settings
        self._filter = EventFilter(settings, self._filter.facts)
        self._payloads = PayloadEncoder(positions=settings.positions)

    def use_facts(self, facts: Mapping[str, EntityFacts]) -> None:
        """Take a picture of the home's registries from the next event on."""
        self._filter.use_facts(facts)

    def event_of(self, item: object, counters: dict[str, int]) -> Event | None:
        """Return the event to store, None if it is not kept; the counters say why."""
        raw = self._decoder.decode(item)
        if raw is None:
            return None
        # The cause is learnt before the filter: an excluded automation is still the cause of what it did.
        cause = self._origins.cause_of(raw)
        if raw.kind is EventKind.SYSTEM and raw.name == "homeassistant_started":
            self._origins.started = True
        attributes = raw.attributes or {}
        device_class = _text(attributes.get("device_class"))
        if raw.entity_id is not None and not self._filter.keeps(raw.entity_id, device_class):
            counters["filtered"] = counters.get("filtered", 0) + 1
            return None
        kind = raw.kind
        if is_attribute_only(raw):
            counters["attribute_only"] = counters.get("attribute_only", 0) + 1
            if not self._settings.attribute_events:
                return None
            kind = EventKind.ATTRIBUTES
        return Event(
            kind=kind,
            time_us=clean_time(raw.time_us),
            origin=cause.origin,
            responsible=clean_id(cause.responsible),
            entity_id=clean_id(raw.entity_id),
            state=clean_state(raw.state),
            old_state=clean_state(raw.old_state),
            held_us=held_us(raw),
            payload=self._payload(raw),
            context_id=clean_id(raw.context_id),
            parent_id=clean_id(raw.parent_id),
            user_id=clean_id(raw.user_id),
            name=clean_id(raw.name),
            facts=self._facts(raw, device_class, _text(attributes.get("unit_of_measurement"))),
        )

    def _payload(self, raw: RawEvent) -> str | None:
        if raw.data is not None:
            return encode(raw.data)
        return self._payloads.attributes(raw)

    def _facts(self, raw: RawEvent, device_class: str | None, unit: str | None) -> EntityFacts:
        if raw.entity_id is None:
            return NO_FACTS
        known = self._filter.facts_of(raw.entity_id)
        if device_class is None and unit is None:
            self._told.pop(raw.entity_id, None)
            return known
        last = self._told.get(raw.entity_id)
        if last is not None and last[0] is known and last[1] == device_class and last[2] == unit:
            return last[3]
        told = replace(known, device_class=device_class or known.device_class, unit=unit or known.unit)
        self._told[raw.entity_id] = (known, device_class, unit, told)
        return told


def _text(value: object) -> str | None:
    return clean_id(str(value)) if value is not None else None
