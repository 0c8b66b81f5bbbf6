"""Who caused an event, in the orders in which Home Assistant really fires.

A person's call and what it changes share a context with the person's id. An automation opens a context of its own, child
of its trigger's, and announces itself in it first. A script or scene runs in the context of whoever called it, and the
script announces itself after the call.
"""

import pytest

from homeiq_engine.model import EventKind, Origin, RawEvent
from homeiq_engine.pipeline._origin import _CONTEXTS, Cause, OriginTracker

C, P, U = "context", "parent", "user"


def _state(entity_id: str = "light.a", state: str | None = "on", old: str | None = "off", **context: str) -> RawEvent:
    return RawEvent(kind=EventKind.STATE, time_us=0, entity_id=entity_id, state=state, old_state=old, **context)


def _call(name: str, target: object = None, **context: str) -> RawEvent:
    data = {} if target is None else {"entity_id": target}
    return RawEvent(kind=EventKind.CALL, time_us=0, name=name, data=data, **context)


def _automation(entity_id: str = "automation.a", **context: str) -> RawEvent:
    return RawEvent(kind=EventKind.AUTOMATION, time_us=0, entity_id=entity_id, **context)


def _script(entity_id: str = "script.s", **context: str) -> RawEvent:
    return RawEvent(kind=EventKind.SCRIPT, time_us=0, entity_id=entity_id, **context)


USER, DEVICE, SYSTEM = Cause(Origin.USER, U), Cause(Origin.DEVICE, None), Cause(Origin.SYSTEM, None)
AUTOMATION, SCRIPT = Cause(Origin.AUTOMATION, "automation.a"), Cause(Origin.SCRIPT, "script.s")
SOME_AUTOMATION, SCENE = Cause(Origin.AUTOMATION, None), Cause(Origin.SCENE, "scene.x")
BY_USER = {"context_id": C, "user_id": U}
BY_AUTOMATION = {"context_id": C, "parent_id": P}
BY_CLOCK = {"context_id": C}

SEQUENCES = {
    "a person switches a light": [(_call("light.turn_on", **BY_USER), USER), (_state(**BY_USER), USER)],
    "a switch on the wall": [(_state(**BY_CLOCK), DEVICE)],
    "an event without any context": [(_state(), DEVICE)],
    "an automation acts on a trigger": [
        (_automation(**BY_AUTOMATION), AUTOMATION),
        (_call("light.turn_on", **BY_AUTOMATION), AUTOMATION),
        (_state(**BY_AUTOMATION), AUTOMATION),
    ],
    "an automation acts at a time of day": [
        (_automation(**BY_CLOCK), AUTOMATION),
        (_call("light.turn_on", **BY_CLOCK), AUTOMATION),
        (_state(**BY_CLOCK), AUTOMATION),
    ],
    "a person's change triggers an automation": [
        (_state("binary_sensor.door", context_id=P, user_id=U), USER),
        (_automation(**BY_AUTOMATION), AUTOMATION),
        (_state(**BY_AUTOMATION), AUTOMATION),
    ],
    "a person runs a script": [
        (_call("script.turn_on", "script.s", **BY_USER), USER),
        (_script(**BY_USER), SCRIPT),
        (_call("light.turn_on", **BY_USER), SCRIPT),
        (_state(**BY_USER), SCRIPT),
    ],
    "an automation runs a script": [
        (_automation(**BY_AUTOMATION), AUTOMATION),
        (_call("script.s", **BY_AUTOMATION), AUTOMATION),
        (_script(**BY_AUTOMATION), AUTOMATION),
        (_state(**BY_AUTOMATION), AUTOMATION),
    ],
    "a script runs a script": [
        (_script(**BY_USER), SCRIPT),
        (_script("script.inner", **BY_USER), Cause(Origin.SCRIPT, "script.inner")),
        (_state(**BY_USER), SCRIPT),
    ],
    "a script runs with nobody's id": [
        (_call("script.s", **BY_CLOCK), SYSTEM),
        (_script(**BY_CLOCK), SCRIPT),
        (_state(**BY_CLOCK), SCRIPT),
    ],
    "a person turns a scene on": [
        (_call("scene.turn_on", ["scene.x", "scene.y"], **BY_USER), USER),
        (_call("light.turn_on", **BY_USER), SCENE),
        (_state(**BY_USER), SCENE),
    ],
    "a scene named in a text": [
        (_call("scene.turn_on", "scene.x, scene.y", **BY_USER), USER),
        (_state(**BY_USER), SCENE),
    ],
    "a scene without a name": [
        (_call("scene.apply", **BY_USER), USER),
        (_state(**BY_USER), Cause(Origin.SCENE, None)),
    ],
    "a scene with no entity": [
        (_call("scene.turn_on", [], **BY_USER), USER),
        (_state(**BY_USER), Cause(Origin.SCENE, None)),
    ],
    "a scene without data": [
        (RawEvent(kind=EventKind.CALL, time_us=0, name="scene.turn_on", context_id=C), SYSTEM),
        (_state(**BY_CLOCK), Cause(Origin.SCENE, None)),
    ],
    "an integration turns a scene on": [
        (_call("scene.turn_on", "scene.x", **BY_CLOCK), SYSTEM),
        (_state(**BY_CLOCK), SCENE),
    ],
    "an automation turns a scene on": [
        (_automation(**BY_AUTOMATION), AUTOMATION),
        (_call("scene.turn_on", "scene.x", **BY_AUTOMATION), AUTOMATION),
        (_state(**BY_AUTOMATION), AUTOMATION),
    ],
    "a script turns a scene on": [
        (_script(**BY_USER), SCRIPT),
        (_call("scene.turn_on", "scene.x", **BY_USER), SCRIPT),
        (_state(**BY_USER), SCRIPT),
    ],
    "an integration calls a service": [(_call("light.turn_on", **BY_CLOCK), SYSTEM), (_state(**BY_CLOCK), DEVICE)],
    "a child of an unknown parent": [(_state(**BY_AUTOMATION), SOME_AUTOMATION)],
    "a child of a person's context": [
        (_state("climate.t", context_id=P, user_id=U), USER),
        (_state(**BY_AUTOMATION), SOME_AUTOMATION),
    ],
    "a child of a script's context": [(_script(context_id=P, user_id=U), SCRIPT), (_state(**BY_AUTOMATION), SCRIPT)],
    "a child of an automation's context": [
        (_automation(context_id=P), AUTOMATION),
        (_state(**BY_AUTOMATION), SOME_AUTOMATION),
    ],
    "a device vanishes": [(_state(state="unavailable", **BY_USER), SYSTEM)],
    "a device forgets": [(_state(state="unknown", old="on"), SYSTEM)],
    "an entity is removed": [(_state(state=None, **BY_USER), SYSTEM)],
    "a device comes back": [(_state(old="unavailable"), SYSTEM)],
    "a value becomes known": [(_state(old="unknown"), SYSTEM)],
    "an entity appears": [(_state(old=None), SYSTEM)],
    "a person switches what was unknown": [(_state(old="unknown", **BY_USER), USER)],
    "an automation switches what was unavailable": [
        (_automation(**BY_CLOCK), AUTOMATION),
        (_state(old="unavailable", **BY_CLOCK), AUTOMATION),
    ],
    "a system event": [(RawEvent(kind=EventKind.SYSTEM, time_us=0, name="homeassistant_stop", user_id=U), SYSTEM)],
    "a log line": [(RawEvent(kind=EventKind.LOG, time_us=0, name="x"), SYSTEM)],
    "an attribute of a script's light": [
        (_script(**BY_USER), SCRIPT),
        (
            RawEvent(
                kind=EventKind.ATTRIBUTES, time_us=0, entity_id="light.a", state="on", old_state="on", context_id=C
            ),
            SCRIPT,
        ),
    ],
}


@pytest.mark.parametrize("sequence", SEQUENCES.values(), ids=SEQUENCES.keys())
def test_each_event_has_its_cause(sequence: list[tuple[RawEvent, Cause]]) -> None:
    """Origin and responsible id are found from what came before."""
    tracker = OriginTracker(started=True)

    assert [tracker.cause_of(raw) for raw, _ in sequence] == [cause for _, cause in sequence]


@pytest.mark.parametrize(
    ("raw", "before", "after"),
    [
        (_state(), SYSTEM, DEVICE),
        (_state(**BY_USER), USER, USER),
        (_state(**BY_AUTOMATION), SOME_AUTOMATION, SOME_AUTOMATION),
    ],
)
def test_while_the_home_starts_up_nobody_unnamed_acts(raw: RawEvent, before: Cause, after: Cause) -> None:
    """Before the start is complete an unexplained change is the system's; people and automations act already."""
    tracker = OriginTracker(started=False)
    starting = tracker.cause_of(raw)
    tracker.started = True

    assert (starting, tracker.cause_of(raw)) == (before, after)


def test_a_context_in_use_is_not_forgotten() -> None:
    """A script that runs for hours keeps its cause while thousands of others come and go."""
    tracker = OriginTracker(started=True)
    tracker.cause_of(_script(context_id="long", user_id=U))
    for number in range(3 * _CONTEXTS):
        tracker.cause_of(_automation(context_id=str(number)))
        if number % 1000 == 0:
            tracker.cause_of(_state(context_id="long", user_id=U))

    assert tracker.cause_of(_state(context_id="long", user_id=U)) == SCRIPT
    assert len(tracker._causes) == _CONTEXTS


def test_contexts_used_longest_ago_are_forgotten() -> None:
    """Memory is bounded: an old context falls back to what the event itself tells."""
    tracker = OriginTracker(started=True)
    tracker.cause_of(_automation(context_id="old"))
    for number in range(_CONTEXTS):
        tracker.cause_of(_automation(context_id=str(number)))

    assert tracker.cause_of(_state(context_id="old")) == DEVICE
