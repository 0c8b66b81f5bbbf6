"""Turn untrusted text into one automation and a list of objections; runs in a confined child."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ..model import ChildError, Finding, Json, Level
from ._lint import lint
from ._yaml import READING, UnreadableError, read_yaml

_MAX_FINDINGS: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Hold what a text says: the automation, None if it is unreadable, and what the reading and the lint object to."""

    automation: Mapping[str, Json] | None
    findings: tuple[Finding, ...]


def read_automation(text: str) -> Reading:
    """Read one automation from YAML text, bare or as a list of one as the editor copies it, and lint its templates."""
    try:
        automation = _single(read_yaml(text))
    except UnreadableError as error:
        return Reading(automation=None, findings=(error.finding(),))
    return Reading(automation=automation, findings=lint(automation))


def _single(value: Json) -> Mapping[str, Json]:
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, Mapping):
        return value
    if isinstance(value, list) and value:
        raise UnreadableError("several", f"The text holds {len(value)} automations; give one at a time.")
    raise UnreadableError("not_automation", "The text does not describe an automation.")


def read_job(payload: Json) -> Json:
    """Do ``read_automation`` in a child: ``{"text": …}`` in, ``{"automation": …, "findings": […]}`` out.

    Raises TypeError if the payload is something else.
    """
    if not isinstance(payload, Mapping) or not isinstance(text := payload.get("text"), str):
        raise TypeError("the payload has no text")
    reading = read_automation(text)
    return {
        "automation": reading.automation,
        "findings": [
            {
                "check": finding.check,
                "code": finding.code,
                "level": finding.level.value,
                "message": finding.message,
                "path": finding.path,
            }
            for finding in reading.findings[:_MAX_FINDINGS]
        ],
    }


def reading_from_answer(answer: Json) -> Reading:
    """Return the reading that a child answered with; a child is not trusted.

    Raises ChildError with reason ``answer`` if it is not one: an answer without automation must give a reason.
    """
    match answer:
        case {"automation": None, "findings": [_, *_] as items}:
            return Reading(automation=None, findings=tuple(_finding(item) for item in items))
        case {"automation": Mapping() as automation, "findings": list(items)}:
            return Reading(automation=automation, findings=tuple(_finding(item) for item in items))
        case _:
            raise ChildError("the child's answer is no reading", reason="answer")


def _finding(item: Json) -> Finding:
    match item:
        case {
            "check": str(check),
            "code": str(code),
            "level": str(level),
            "message": str(message),
            "path": str(path),
        } if level in tuple(Level):
            return Finding(check=check, code=code, level=Level(level), message=message, path=path)
        case _:
            raise ChildError("the child's answer holds something that is no finding", reason="answer")


__all__ = ["READING", "Reading", "read_automation", "read_job", "reading_from_answer"]
