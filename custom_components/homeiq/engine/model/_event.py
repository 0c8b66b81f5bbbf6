"""Define an event: one normalised row, whatever caused it."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import isfinite
from typing import Final


class EventKind(StrEnum):
    """Say what an event is."""

    STATE = "state"
    ATTRIBUTES = "attributes"
    CALL = "call"
    AUTOMATION = "automation"
    SCRIPT = "script"
    SYSTEM = "system"
    LOG = "log"


class Origin(StrEnum):
    """Say who caused an event."""

    USER = "user"
    AUTOMATION = "automation"
    SCRIPT = "script"
    SCENE = "scene"
    DEVICE = "device"
    SYSTEM = "system"


# What stands where a secret stood.
REDACTED: Final = "**REDACTED**"
UNUSABLE_STATES: Final = frozenset({"unknown", "unavailable"})
TRUE_STATES: Final = frozenset({"on", "open", "home", "true", "unlocked", "detected", "playing", "active"})
_FALSE_STATES: Final = frozenset({"off", "closed", "not_home", "false", "locked", "clear", "idle", "standby"})


def numeric_value(state: str | None) -> float | None:
    """Return a state as a number: finite decimals as they are, two-valued states as 1.0 or 0.0, else None.

    NaN, infinities, hexadecimal and digit-grouped text ("1_000") are not numbers of a home and give None.
    """
    if state is None:
        return None
    if state in TRUE_STATES:
        return 1.0
    if state in _FALSE_STATES:
        return 0.0
    return decimal_value(state)


def decimal_value(state: str) -> float | None:
    """Return a state that is a finite decimal as a number, None for any other, two-valued states included."""
    try:
        value = float(state)
    except ValueError:
        return None
    return value if isfinite(value) and "_" not in state else None


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityFacts:
    """Describe where an entity stood in the home when its event happened."""

    registry_id: str | None = None
    device_id: str | None = None
    area_id: str | None = None
    floor_id: str | None = None
    integration: str | None = None
    device_class: str | None = None
    unit: str | None = None
    labels: tuple[str, ...] = ()


NO_FACTS: Final = EntityFacts()


@dataclass(slots=True, kw_only=True)
class RawEvent:
    """Hold what an adapter read off one bus event, before the pipeline has judged or enriched it.

    Times are UTC microseconds. ``attributes`` may still hold keys that must not be kept; ``unkept`` names the ones
    that the entity itself asks recorders to leave out. ``old_changed_us`` is when the previous state began.
    ``renewed`` says that an entity reported the same state as a new one, as a remote's button pressed twice does.
    """

    kind: EventKind
    time_us: int
    entity_id: str | None = None
    state: str | None = None
    old_state: str | None = None
    old_changed_us: int | None = None
    renewed: bool = False
    attributes: Mapping[str, object] | None = None
    unkept: frozenset[str] = frozenset()
    context_id: str | None = None
    parent_id: str | None = None
    user_id: str | None = None
    name: str | None = None
    data: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Be one normalised row of the store.

    ``time_us`` and ``held_us`` (time spent in the previous state) are microseconds, the former since the epoch in UTC.
    ``payload`` is compact JSON: a state's kept attributes, a call's allow-listed data, a log record's origin.
    ``name`` is the service, system event or logger of events that have no entity. ``responsible`` is the user,
    automation, script or scene behind the origin. ``id`` is the store's row id, None before it is stored.
    """

    kind: EventKind
    time_us: int
    origin: Origin
    entity_id: str | None = None
    state: str | None = None
    old_state: str | None = None
    held_us: int | None = None
    payload: str | None = None
    context_id: str | None = None
    parent_id: str | None = None
    user_id: str | None = None
    responsible: str | None = None
    name: str | None = None
    facts: EntityFacts = NO_FACTS
    id: int | None = None

    @property
    def value(self) -> float | None:
        """Return the state as a number, or None where it is none."""
        return numeric_value(self.state)
