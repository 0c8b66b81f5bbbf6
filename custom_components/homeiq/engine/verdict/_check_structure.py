"""Check that there is something to start the automation and something for it to do."""

from collections.abc import Iterator
from typing import Final

from ..model import Finding, Json, Level
from ..ports import LiveHome
from ._outcome import Outcome
from ._templates import join
from ._walk import Survey, first, mappings_in

CHECK: Final = "structure"


def check(survey: Survey, _home: LiveHome) -> Outcome:
    """Block an automation without triggers or actions, and a wait for nothing; blueprints bring their own."""
    if survey.uses_blueprint:
        return Outcome()
    findings: list[Finding] = []
    name, triggers = first(survey.config, "triggers", "trigger")
    if triggers == []:
        # Home Assistant takes this, and people use it for automations that they run by hand.
        message = "Nothing starts the automation but a person: its list of triggers is empty."
        findings.append(
            Finding(check=CHECK, code="no_trigger", level=Level.NEEDS_CONFIRMATION, message=message, path=name)
        )
    elif not survey.triggers:
        findings.append(
            _missing("no_trigger", "Nothing would ever start the automation: it has no trigger.", "triggers")
        )
    if not survey.actions:
        findings.append(_missing("no_action", "The automation would do nothing: it has no action.", "actions"))
    findings += [
        _missing("empty_wait", "An action waits for a trigger, but names none.", path)
        for path in _empty_waits(survey.config)
    ]
    return Outcome(tuple(findings))


def _missing(code: str, message: str, path: str) -> Finding:
    return Finding(check=CHECK, code=code, level=Level.BLOCKED, message=message, path=path)


def _empty_waits(config: Json) -> Iterator[str]:
    for path, each in mappings_in(config):
        if not each.get("wait_for_trigger", True):
            yield join(path, "wait_for_trigger")
