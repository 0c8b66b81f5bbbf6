"""Check for automations that start themselves over and over."""

from collections.abc import Iterator
from typing import Final

from ..model import Finding, Level
from ..ports import LiveHome
from ._outcome import Outcome
from ._templates import holds_template
from ._walk import Call, Config, Survey, first, items

CHECK: Final = "loops"

_ALWAYS_CHANGING: Final = frozenset({"toggle", "increment", "decrement", "select_next", "select_previous", "press"})
_SETTING: Final = frozenset({"set_value", "set_datetime", "select_option"})


def check(survey: Survey, _home: LiveHome) -> Outcome:
    """Block an automation whose action sets off its own trigger anew each time; note one that does so idly."""
    return Outcome((*_by_state(survey), *_by_event(survey), *_by_topic(survey)))


def _triggers(survey: Survey, platform: str) -> Iterator[Config]:
    for path, trigger in survey.triggers:
        if "wait_for_trigger" not in path and first(trigger, "trigger", "platform")[1] == platform:
            yield trigger


def _by_state(survey: Survey) -> Iterator[Finding]:
    free: set[str] = set()
    for trigger in _triggers(survey, "state"):
        if trigger.keys().isdisjoint({"to", "from", "not_to", "not_from", "attribute"}):
            for _, item in items(trigger.get("entity_id"), ""):
                free |= {part.strip().lower() for part in str(item).split(",")}
    for call in survey.calls:
        if free.isdisjoint(call.entities) or call.computed:
            continue
        if call.service in _ALWAYS_CHANGING or (call.service in _SETTING and holds_template(dict(call.data))):
            yield _loop(call.path, f"{call.name} changes what triggers the automation, which starts it again.")
        else:
            yield _idle(call)


def _by_event(survey: Survey) -> Iterator[Finding]:
    for trigger in _triggers(survey, "event"):
        types = {item for _, item in items(trigger.get("event_type"), "") if isinstance(item, str)}
        for event, path in survey.events:
            if event in types and not trigger.get("event_data"):
                yield _loop(path, f"The automation fires the event {event}, which starts it again.")


def _by_topic(survey: Survey) -> Iterator[Finding]:
    for trigger in _triggers(survey, "mqtt"):
        for call in survey.calls:
            if (
                call.name == "mqtt.publish"
                and call.data.get("topic") == trigger.get("topic")
                and "payload" not in trigger
            ):
                yield _loop(call.path, "The automation publishes to the topic that triggers it.")


def _loop(path: str, message: str) -> Finding:
    return Finding(check=CHECK, code="self_trigger", level=Level.BLOCKED, message=message, path=path)


def _idle(call: Call) -> Finding:
    message = f"{call.name} acts on what triggers the automation; it may start itself once more."
    return Finding(check=CHECK, code="self_trigger_once", level=Level.NOTE, message=message, path=call.path)
