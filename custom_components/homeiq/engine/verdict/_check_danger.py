"""Check for services that can harm the home or its inhabitants, by what they do and to what."""

from collections.abc import Iterator, Mapping
import re
from typing import Final

from ..model import Finding, Level
from ..ports import LiveHome
from ._outcome import Outcome
from ._walk import Call, Survey

CHECK: Final = "danger"

_BLOCK, _ASK, _NOTE = Level.BLOCKED, Level.NEEDS_CONFIRMATION, Level.NOTE

_DOMAINS: Final[Mapping[str, tuple[Level, str]]] = {
    "shell_command": (_BLOCK, "runs a command on the host"),
    "python_script": (_BLOCK, "runs code inside Home Assistant"),
    "pyscript": (_BLOCK, "runs code inside Home Assistant"),
    "hassio": (_BLOCK, "controls the host and its add-ons"),
    "rest_command": (_ASK, "sends a request out of the home"),
}
_SERVICES: Final[Mapping[str, tuple[Level, str]]] = {
    "homeassistant.stop": (_BLOCK, "stops Home Assistant"),
    "homeassistant.restart": (_ASK, "restarts Home Assistant"),
    "homeassistant.set_location": (_ASK, "moves the home"),
    "recorder.purge": (_BLOCK, "deletes history"),
    "recorder.purge_entities": (_BLOCK, "deletes history"),
    "recorder.disable": (_BLOCK, "stops the recording of history"),
    "lock.unlock": (_ASK, "unlocks a door with nobody watching"),
    "lock.open": (_ASK, "opens a door with nobody watching"),
    "alarm_control_panel.alarm_disarm": (_ASK, "disarms the alarm with nobody watching"),
    "valve.open_valve": (_ASK, "lets water or gas flow"),
    "valve.toggle": (_ASK, "lets water or gas flow"),
    "valve.set_valve_position": (_ASK, "lets water or gas flow"),
    "siren.turn_on": (_ASK, "sounds a siren"),
    "siren.toggle": (_ASK, "sounds a siren"),
    "update.install": (_ASK, "installs software with nobody watching"),
    "logger.set_level": (_NOTE, "changes what is logged"),
    "logger.set_default_level": (_NOTE, "changes what is logged"),
    "persistent_notification.dismiss_all": (_NOTE, "hides notifications from the user"),
}
_DOORS: Final = re.compile(r"garage|gate|door", re.IGNORECASE)
_GENERIC: Final = frozenset({"homeassistant.turn_on", "homeassistant.turn_off", "homeassistant.toggle"})
_SWITCHING: Final = frozenset({"turn_on", "turn_off", "toggle"})
# What a generic service does to an entity of these domains needs the same care as their own services.
_DELICATE: Final = frozenset({"lock", "valve", "siren", "alarm_control_panel"})


type Judgement = tuple[Level, str] | None


def check(survey: Survey, _home: LiveHome) -> Outcome:
    """Block what gives away control of the host or hides tracks; ask about doors, locks, alarms, water and the like."""
    return Outcome(tuple(finding for call in survey.calls for finding in _judged(call)))


def _judged(call: Call) -> Iterator[Finding]:
    """Give the first reason that applies, the gravest rules first."""
    if call.computed:
        return
    for rule in (_by_domain, _by_everything, _by_door, _by_generic, _by_discovery, _by_service):
        if (judgement := rule(call)) is not None:
            level, what = judgement
            yield Finding(
                check=CHECK, code="dangerous_service", level=level, message=f"{call.name} {what}.", path=call.path
            )
            return


def _by_domain(call: Call) -> Judgement:
    return _DOMAINS.get(call.domain)


def _by_service(call: Call) -> Judgement:
    return _SERVICES.get(call.name)


def _by_everything(call: Call) -> Judgement:
    """Judge what is done to ``all`` entities."""
    if call.data.get("entity_id") != "all" or call.service not in _SWITCHING:
        return None
    if call.domain in {"homeassistant", "automation"}:
        return _BLOCK, "acts on everything at once"
    return (_ASK, "acts on everything of its kind at once") if call.domain == "script" else None


def _by_door(call: Call) -> Judgement:
    """Judge what moves a garage door or gate; an area may hold one."""
    covers = [entity_id for entity_id in call.entities if entity_id.startswith("cover.")]
    if call.domain == "cover" and not covers and call.service not in {"stop_cover", "stop_cover_tilt"}:
        return _ASK, "may move a garage door or gate: it names no single cover"
    if call.domain in {"cover", "homeassistant"} and any(_DOORS.search(entity_id) for entity_id in covers):
        return _ASK, "moves a door or gate with nobody watching"
    return None


def _by_generic(call: Call) -> Judgement:
    if call.name in _GENERIC and any(entity_id.partition(".")[0] in _DELICATE for entity_id in call.entities):
        return _ASK, "acts on a lock, valve, siren or alarm"
    return None


def _by_discovery(call: Call) -> Judgement:
    """Judge messages that would make Home Assistant create or drop entities."""
    topic = call.data.get("topic")
    if call.name == "mqtt.publish" and isinstance(topic, str) and topic.startswith("homeassistant/"):
        return _ASK, "creates or changes devices by MQTT discovery"
    return None
