"""Tell which planted habits the suggestions hit, and whether any of them took an automation's act for one."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.engine.synth import Home, Planted

# Half a window: a suggestion's time may be this many minutes off the planted one.
TOLERANCE_MIN = 15
WEEKDAY_NAMES = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_REACHED = {"turn_on": "on", "turn_off": "off", "lock": "locked", "unlock": "unlocked"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """Hold what an automation proposes: to bring an entity into a state at a local minute on weekdays."""

    entity_id: str
    to_state: str
    minute: float
    weekdays: tuple[int, ...]

    def meets(self, promise: Planted) -> bool:
        """Return whether this is the planted habit: entity, state, weekdays, and the time within the tolerance."""
        apart = abs((self.minute - promise.minute + 720) % 1440 - 720)
        return (
            (self.entity_id, self.to_state, self.weekdays) == (promise.entity_id, promise.to_state, promise.weekdays)
        ) and apart <= TOLERANCE_MIN


@dataclass(frozen=True, slots=True, kw_only=True)
class Hits:
    """Name the planted habits that were found and missed, and the suggestions that learnt from automations."""

    found: tuple[str, ...]
    missed: tuple[str, ...]
    from_automations: tuple[str, ...]


def compare(home: Home, suggestions: Iterable[Mapping[str, Any]]) -> Hits:
    """Compare the suggestions with the plan of the home; a blocked one finds nothing, but may still be a wrong one."""
    read_all = [(suggestion["verdict"]["level"], read(suggestion["automation"])) for suggestion in suggestions]
    offered = [proposal for level, proposals in read_all if level != "blocked" for proposal in proposals]
    acted_on = {proposal.entity_id for _, proposals in read_all for proposal in proposals}
    found = tuple(promise.key for promise in home.planted if any(proposal.meets(promise) for proposal in offered))
    return Hits(
        found=found,
        missed=tuple(promise.key for promise in home.planted if promise.key not in found),
        from_automations=tuple(sorted(acted_on & home.driven)),
    )


def read(automation: Mapping[str, Any]) -> list[Proposal]:
    """Return what a time-triggered automation does, per action and entity."""
    minutes = [_minute(trigger["at"]) for trigger in automation["triggers"] if trigger.get("trigger") == "time"]
    days = tuple(range(7))
    for condition in automation.get("conditions", []):
        if condition.get("condition") == "time" and "weekday" in condition:
            names = condition["weekday"]
            days = tuple(sorted(WEEKDAY_NAMES.index(name) for name in ([names] if isinstance(names, str) else names)))
    return [
        Proposal(entity_id=entity_id, to_state=_REACHED[service], minute=minute, weekdays=days)
        for action in automation["actions"]
        if (service := str(action.get("action", "")).partition(".")[2]) in _REACHED
        for entity_id in _as_list(action.get("target", {}).get("entity_id"))
        for minute in minutes
    ]


def _minute(at: Any) -> float:
    hours, minutes, *rest = str(at).split(":")
    return int(hours) * 60 + int(minutes) + (float(rest[0]) / 60 if rest else 0)


def _as_list(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value or [])
