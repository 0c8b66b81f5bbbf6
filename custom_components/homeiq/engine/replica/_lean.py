"""Lay events out as HomeIQ does, layout ``lean``.

| part | holds |
|---|---|
| measurement | a state's domain (``light``); ``homeiq_<kind>`` for attributes, call, automation, script, system, log |
| tags | area, device_class, entity_id, home, integration, name, origin, registry_id; absent ones are left out |
| ``value`` (float) | the state as a number; 1 for kinds without a state, so that ``sum(value)`` counts them |
| ``state``, ``old`` (string) | the state and the one before |
| ``held`` (float) | seconds spent in the state before |
| ``removed`` (boolean) | true where an entity was removed, and only there |
| ``by``, ``context``, ``parent``, ``user``, ``data`` (string) | responsible id, context ids, user id, the payload's JSON |

Every field has one type for ever. A renamed entity goes on under its ``registry_id``.
"""

import re
from typing import Final

from ..model import EntityFacts, Event, EventKind, Origin, numeric_value
from ._escaping import key, number, text

_CACHE: Final = 50_000
_DOMAIN: Final = re.compile(r"[a-z0-9][a-z0-9_]*\Z")
_WITH_STATE: Final = frozenset({EventKind.STATE, EventKind.ATTRIBUTES})

type _Series = tuple[EventKind, str | None, str | None, Origin]


class LeanLayout:
    """Write measurement and tags, cached per entity until its facts change, and the fields."""

    def __init__(self, home: str = "") -> None:
        """Take the home tag, empty for none."""
        self._home = home
        self._prefixes: dict[_Series, tuple[EntityFacts, str]] = {}

    def series(self, event: Event) -> str:
        """Return measurement and tags."""
        series = (event.kind, event.entity_id, event.name, event.origin)
        facts = event.facts
        cached = self._prefixes.get(series)
        if cached is not None and (cached[0] is facts or cached[0] == facts):
            return cached[1]
        if len(self._prefixes) >= _CACHE:
            self._prefixes.clear()
        prefix = self._make(event)
        self._prefixes[series] = (facts, prefix)
        return prefix

    def fields(self, event: Event) -> str:
        """Return the fields in alphabetical order; there is always at least one."""
        kind = event.kind
        state = event.state
        fields = ""
        if (said := event.responsible) is not None:
            fields = f',by="{text(said)}"'
        if (said := event.context_id) is not None:
            fields += f',context="{text(said)}"'
        if (said := event.payload) is not None:
            fields += f',data="{text(said)}"'
        if (held_us := event.held_us) is not None:
            fields += f",held={number(held_us / 1e6)}"
        if (said := event.old_state) is not None:
            fields += f',old="{text(said)}"'
        if (said := event.parent_id) is not None:
            fields += f',parent="{text(said)}"'
        if state is not None:
            fields += f',state="{text(state)}"'
        elif kind is EventKind.STATE:
            fields += ",removed=true"
        if (said := event.user_id) is not None:
            fields += f',user="{text(said)}"'
        if (value := self.value(event)) is not None:
            fields += f",value={number(value)}"
        # An attribute event that says nothing still happened.
        return fields[1:] or 'state=""'

    def value(self, event: Event) -> float | None:
        """Return the event as a number, None if it is none."""
        return numeric_value(event.state) if event.kind in _WITH_STATE else 1.0

    def _make(self, event: Event) -> str:
        facts = event.facts
        tags = (
            ("area", facts.area_id),
            ("device_class", facts.device_class),
            ("entity_id", event.entity_id),
            ("home", self._home),
            ("integration", facts.integration),
            ("name", event.name),
            ("origin", event.origin.value),
            ("registry_id", facts.registry_id),
        )
        return _measurement(event) + "".join(f",{name}={key(said)}" for name, said in tags if said)


def _measurement(event: Event) -> str:
    """Return a state's domain if it is an ordinary word, else the event's kind."""
    if event.kind is EventKind.STATE and event.entity_id is not None:
        domain, dot, _ = event.entity_id.partition(".")
        # Anything else might be read as a comment (#) or as one of InfluxDB's reserved names (_).
        if dot and _DOMAIN.match(domain):
            return domain
    return f"homeiq_{event.kind.value}"
