"""Listen on Home Assistant's event bus and read what was heard.

The listeners only append to the pipeline's buffer. Everything that is computed is computed later, in a worker thread,
by the decoder.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, override

from homeassistant.const import (
    ATTR_ENTITY_ID,
    EVENT_CALL_SERVICE,
    EVENT_HOMEASSISTANT_FINAL_WRITE,
    EVENT_HOMEASSISTANT_STARTED,
    EVENT_HOMEASSISTANT_STOP,
    EVENT_STATE_CHANGED,
)
from homeassistant.core import Event, EventStateChangedData, HomeAssistant, State, callback

from ..const import DOMAIN
from ..engine.model import REDACTED, UNUSABLE_STATES, EventKind, RawEvent
from ..engine.pipeline import EventBuffer
from ..engine.ports import EventDecoder
from .log_records import LogDecoder
from .service_data import keep_service_data

# As in components.automation and components.script, whose import would load half of Home Assistant.
EVENT_AUTOMATION_TRIGGERED: Final = "automation_triggered"
EVENT_SCRIPT_STARTED: Final = "script_started"
_SYSTEM_EVENTS: Final = (
    EVENT_HOMEASSISTANT_STARTED,
    EVENT_HOMEASSISTANT_STOP,
    EVENT_HOMEASSISTANT_FINAL_WRITE,
)
_MAX_SOURCE: Final = 255
_STATE_OR_NONE: Final = (State, type(None))


@callback
def async_listen(hass: HomeAssistant, buffer: EventBuffer) -> Callable[[], None]:
    """Offer every event of interest to the buffer from now on; return a function that stops it."""
    offer = buffer.offer

    @callback
    def take_change(data: Mapping[str, Any]) -> bool:
        # Where nobody else listens the bus makes no Event for what a filter declines, and making one is all that a
        # listener costs: 0.04 µs a state instead of 2.2 (2 cores, HA 2026.10.4). A new state carries its own time and
        # context; only a removed one needs the event.
        if data.get("new_state") is None:
            return True
        offer(data)
        return False

    @callback
    def state_removed(event: Event[EventStateChangedData]) -> None:
        offer(event)

    @callback
    def call_service(event: Event[Any]) -> None:
        if event.data.get("domain") != DOMAIN:
            offer(_read_call(event))

    @callback
    def automation_triggered(event: Event[Any]) -> None:
        offer(event)

    @callback
    def script_started(event: Event[Any]) -> None:
        offer(event)

    @callback
    def system_event(event: Event[Any]) -> None:
        offer(event)

    removers = [
        hass.bus.async_listen(EVENT_STATE_CHANGED, state_removed, event_filter=take_change),
        hass.bus.async_listen(EVENT_CALL_SERVICE, call_service),
        hass.bus.async_listen(EVENT_AUTOMATION_TRIGGERED, automation_triggered),
        hass.bus.async_listen(EVENT_SCRIPT_STARTED, script_started),
        *(hass.bus.async_listen(event_type, system_event) for event_type in _SYSTEM_EVENTS),
    ]

    @callback
    def stop() -> None:
        for remove in removers:
            remove()

    return stop


class HassEventDecoder(EventDecoder):
    """Read bus events, log records and events that are raw already; runs in a thread."""

    def __init__(self) -> None:
        """Begin with no log line seen."""
        self._logs = LogDecoder()

    @override
    def decode(self, item: object) -> RawEvent | None:
        if isinstance(item, dict):
            return _read_change(item)
        if isinstance(item, Event):
            return _read_event(item)
        if isinstance(item, RawEvent):
            return item
        return self._logs.decode(item)


def to_us(timestamp: float) -> int:
    """Return microseconds of a timestamp in seconds; exact to the microsecond until the year 2242."""
    return round(timestamp * 1_000_000)


def _read_event(event: Event[Any]) -> RawEvent | None:
    match event.event_type:
        case "state_changed":
            return _read_removal(event)
        case "automation_triggered":
            return _read_run(event, EventKind.AUTOMATION)
        case "script_started":
            return _read_run(event, EventKind.SCRIPT)
        case name:
            return RawEvent(
                kind=EventKind.SYSTEM,
                time_us=to_us(event.time_fired_timestamp),
                name=str(name),
                context_id=event.context.id,
                parent_id=event.context.parent_id,
                user_id=event.context.user_id,
            )


def _read_change(data: Mapping[str, Any]) -> RawEvent | None:
    entity_id, new, old = data.get("entity_id"), data.get("new_state"), data.get("old_state")
    # Anybody may fire an event of this name over the API, with anything in it.
    if entity_id is None or not isinstance(new, State) or not isinstance(old, _STATE_OR_NONE):
        return None
    return RawEvent(
        kind=EventKind.STATE,
        time_us=to_us(new.last_updated_timestamp),
        entity_id=entity_id,
        state=shown_state(entity_id, new.state, new.attributes),
        old_state=None if old is None else shown_state(entity_id, old.state, old.attributes),
        old_changed_us=None if old is None else to_us(old.last_changed_timestamp),
        renewed=old is not None and new.last_changed != old.last_changed,
        attributes=new.attributes,
        unkept=unrecorded(new),
        context_id=new.context.id,
        parent_id=new.context.parent_id,
        user_id=new.context.user_id,
    )


def _read_removal(event: Event[Any]) -> RawEvent | None:
    entity_id, old = event.data.get("entity_id"), event.data.get("old_state")
    if entity_id is None or not isinstance(old, State):
        return None
    return RawEvent(
        kind=EventKind.STATE,
        time_us=to_us(event.time_fired_timestamp),
        entity_id=entity_id,
        old_state=shown_state(entity_id, old.state, old.attributes),
        old_changed_us=to_us(old.last_changed_timestamp),
        context_id=event.context.id,
        parent_id=event.context.parent_id,
        user_id=event.context.user_id,
    )


def shown_state(entity_id: str, state: str, attributes: Mapping[str, object]) -> str:
    """Return a state as it may be kept: text helpers in password mode hold a password."""
    if attributes.get("mode") == "password" and entity_id.startswith(("input_text.", "text.")):
        return state if state in UNUSABLE_STATES else REDACTED
    return state


def unrecorded(state: State) -> frozenset[str]:
    """Return the attributes that the entity asks recorders to leave out."""
    info = state.state_info
    return frozenset() if info is None else info["unrecorded_attributes"]


def _read_run(event: Event[Mapping[str, Any]], kind: EventKind) -> RawEvent | None:
    entity_id, name, source = event.data.get(ATTR_ENTITY_ID), event.data.get("name"), event.data.get("source")
    # Of these, too, anybody may fire one.
    if not isinstance(entity_id, str) or not isinstance(name, str | None):
        return None
    return RawEvent(
        kind=kind,
        time_us=to_us(event.time_fired_timestamp),
        entity_id=entity_id,
        name=name,
        data=None if source is None else {"source": str(source)[:_MAX_SOURCE]},
        context_id=event.context.id,
        parent_id=event.context.parent_id,
        user_id=event.context.user_id,
    )


def _read_call(event: Event[Mapping[str, Any]]) -> RawEvent:
    domain = str(event.data.get("domain"))
    data = event.data.get("service_data")
    return RawEvent(
        kind=EventKind.CALL,
        time_us=to_us(event.time_fired_timestamp),
        name=f"{domain}.{event.data.get('service')}",
        data=keep_service_data(domain, data if isinstance(data, Mapping) else {}),
        context_id=event.context.id,
        parent_id=event.context.parent_id,
        user_id=event.context.user_id,
    )
