"""Draft an automation from a habit: a template filled with what was mined, in Home Assistant's current syntax."""

from collections.abc import Mapping
from hashlib import sha256
import json
from typing import Final

from ..model import Draft, Evidence, Habit, Json
from ._actions import call_for

_DAY_MIN: Final = 1440
_SHORT: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_LONG: Final = ("Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays", "Sundays")
_NAMED_SETS: Final = {tuple(range(7)): "every day", tuple(range(5)): "on weekdays", (5, 6): "at weekends"}
# How an automation is told, not what it does.
_WORDING: Final = frozenset({"alias", "description"})


def draft_from_habit(habit: Habit, friendly_name: str) -> Draft:
    """Return an automation that does by the clock what the household does by hand.

    Raises DraftError if no single action brings the entity into the habit's state.
    """
    service, data, phrase = call_for(habit.entity_id, habit.to_state)
    doing = phrase.replace("{}", friendly_name, 1)
    clock, days = _clock(habit.minute), _days(habit.weekdays)
    title = f"{doing[0].upper()}{doing[1:]} at {clock} {days}"
    explanation = _explain(habit, doing, days)
    action: dict[str, Json] = {"action": service, "target": {"entity_id": habit.entity_id}}
    config: dict[str, Json] = {
        "alias": title,
        "description": explanation,
        "triggers": [{"trigger": "time", "at": f"{clock}:00"}],
        "conditions": _conditions(habit.weekdays),
        "actions": [action | {"data": data} if data else action],
        "mode": "single",
    }
    return Draft(key=content_key(config), config=config, explanation=explanation)


def content_key(config: Mapping[str, Json]) -> str:
    """Return a hash of what an automation does, whatever it is called."""
    content = {name: value for name, value in config.items() if name not in _WORDING}
    return sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()[:16]


def _conditions(weekdays: tuple[int, ...]) -> list[Json]:
    if len(weekdays) == len(_SHORT):
        return []
    return [{"condition": "time", "weekday": [_SHORT[day] for day in weekdays]}]


def _clock(minute: float) -> str:
    whole = round(minute) % _DAY_MIN
    return f"{whole // 60:02d}:{whole % 60:02d}"


def _days(weekdays: tuple[int, ...]) -> str:
    if (name := _NAMED_SETS.get(weekdays)) is not None:
        return name
    *most, last = (_LONG[day] for day in weekdays)
    return f"on {', '.join(most)} and {last}" if most else f"on {last}"


def _explain(habit: Habit, doing: str, days: str) -> str:
    """Tell the habit and its figures in one paragraph."""
    evidence = habit.evidence
    held = (
        f"You {doing} by hand around {_clock(habit.minute)} {days}:"
        f" on {evidence.days_held} of the {evidence.days_possible} days on which it could be seen,"
        f" within {habit.window_min:.0f} minutes of that time"
        f" (typically {max(1, round(habit.spread_min))} to either side)."
    )
    chance = (
        f"At other times the same happens on at most {evidence.base_rate:.1%} of days in an equally long span,"
        f" so this is {evidence.lift:.0f} times as often as chance would have it;"
        f" with 95 % confidence it holds on {evidence.wilson_low:.0%} to {evidence.wilson_high:.0%} of these days."
    )
    return " ".join((held, chance, _told_of_kept_back(evidence)))


def _told_of_kept_back(evidence: Evidence) -> str:
    if evidence.held_out is None:
        return "There were too few recent days to keep some back for a test."
    held = round(evidence.held_out * evidence.held_out_days)
    return f"Of the last {evidence.held_out_days} such days, which were kept back to test it, it held on {held}."
