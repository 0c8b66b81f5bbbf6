"""Keep a ledger of every event on the bus that the player caused, directly or through automations and scripts."""

from collections import Counter
import json
from pathlib import Path

from homeassistant.const import EVENT_CALL_SERVICE, EVENT_STATE_CHANGED
from homeassistant.core import CALLBACK_TYPE, Context, Event, EventStateChangedData, HomeAssistant, callback

type Line = tuple[str, str, str | None, str]
"""Kind, entity id or name, new state if there is one, context id."""


class Ledger:
    """Listen to the bus for itself: what HomeIQ stores is compared with this.

    An event belongs to the player if its context is one of the player's, or descends from one: an automation that a
    played motion sensor sets off acts in a context whose parent is the sensor's. A change of attributes alone is
    counted apart, since HomeIQ does not keep it by default.
    """

    def __init__(self, hass: HomeAssistant) -> None:
        """Begin to listen."""
        self.lines: list[Line] = []
        self.attribute_only = 0
        self._own: set[str] = set()
        self._stop: list[CALLBACK_TYPE] = [
            hass.bus.async_listen(EVENT_STATE_CHANGED, self._state),
            hass.bus.async_listen(EVENT_CALL_SERVICE, self._call),
            hass.bus.async_listen("automation_triggered", self._automation),
            hass.bus.async_listen("script_started", self._script),
        ]

    def context(self, user_id: str | None = None) -> Context:
        """Return a new context of the player's own."""
        context = Context(user_id=user_id)
        self._own.add(context.id)
        return context

    def close(self) -> None:
        """Stop listening."""
        while self._stop:
            self._stop.pop()()

    def counts(self) -> dict[str, int]:
        """Return how many events of each kind there were."""
        return dict(Counter(kind for kind, *_ in self.lines))

    def write(self, path: Path) -> None:
        """Write one JSON line per event."""
        path.write_text("".join(f"{json.dumps(line)}\n" for line in self.lines), encoding="utf-8")

    def _is_own(self, context: Context) -> bool:
        if context.id in self._own:
            return True
        if context.parent_id in self._own:
            self._own.add(context.id)
            return True
        return False

    @callback
    def _state(self, event: Event[EventStateChangedData]) -> None:
        if not self._is_own(event.context):
            return
        old, new = event.data["old_state"], event.data["new_state"]
        if old is not None and new is not None and old.state == new.state:
            self.attribute_only += 1
            return
        self.lines.append(("state", event.data["entity_id"], None if new is None else new.state, event.context.id))

    @callback
    def _call(self, event: Event) -> None:
        if self._is_own(event.context):
            self.lines.append(("call", f"{event.data['domain']}.{event.data['service']}", None, event.context.id))

    @callback
    def _automation(self, event: Event) -> None:
        if self._is_own(event.context):
            self.lines.append(("automation", event.data["entity_id"], None, event.context.id))

    @callback
    def _script(self, event: Event) -> None:
        if self._is_own(event.context):
            self.lines.append(("script", event.data["entity_id"], None, event.context.id))
