"""Check that services would take the data that the draft gives them, and can act on the entities that it names."""

from typing import Final

from ..model import Finding, Level
from ..ports import LiveHome
from ._outcome import Outcome
from ._walk import Call, Survey

CHECK: Final = "service_data"

# Domains whose services act on entities of the domain itself, and no other.
_OWN_ENTITIES: Final = frozenset(
    [
        "alarm_control_panel",
        "automation",
        "button",
        "climate",
        "counter",
        "cover",
        "fan",
        "humidifier",
        "input_boolean",
        "input_button",
        "input_datetime",
        "input_number",
        "input_select",
        "input_text",
        "lawn_mower",
        "light",
        "lock",
        "media_player",
        "number",
        "remote",
        "select",
        "siren",
        "switch",
        "text",
        "timer",
        "vacuum",
        "valve",
        "water_heater",
    ]
)
_EXPANDED: Final = "group"


def check(survey: Survey, home: LiveHome) -> Outcome:
    """Block data that the service's own schema refuses, and entities of another domain than the service's."""
    findings: list[Finding] = []
    complete = True
    for call in survey.calls:
        if call.computed:
            complete = False
            continue
        findings += _wrong_domain(call)
        if call.templated_data:
            complete = False
            continue
        reason = home.check_service_data(call.domain, call.service, call.data)
        if reason is not None:
            message = f"The service {call.name} does not take this data: {reason}"
            findings.append(
                Finding(check=CHECK, code="service_data", level=Level.BLOCKED, message=message, path=call.path)
            )
    return Outcome(tuple(findings), complete)


def _wrong_domain(call: Call) -> list[Finding]:
    if call.domain not in _OWN_ENTITIES:
        return []
    return [
        Finding(
            check=CHECK,
            code="wrong_domain",
            level=Level.BLOCKED,
            message=f"The service {call.name} does nothing to {entity_id}, which is no {call.domain}.",
            path=call.path,
        )
        for entity_id in call.entities
        if "." in entity_id and entity_id.partition(".")[0] not in {call.domain, _EXPANDED}
    ]
