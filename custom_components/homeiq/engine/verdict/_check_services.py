"""Check that every service that the draft calls exists."""

from typing import Final

from jinja2 import nodes

from ..model import Finding, Level
from ..ports import LiveHome
from ._outcome import Outcome
from ._templates import UnparsableError, parse
from ._walk import Call, Survey

CHECK: Final = "services"


def check(survey: Survey, home: LiveHome) -> Outcome:
    """Block unknown services and names put together from constants; a name that depends on the home is for the user."""
    findings: list[Finding] = []
    complete = True
    for call in survey.calls:
        if call.computed:
            findings.append(_computed(call))
            continue
        exists = home.service_exists(call.domain, call.service)
        complete &= exists is not None
        if exists is False:
            message = f"The service {call.name} does not exist in this home."
            findings.append(
                Finding(check=CHECK, code="unknown_service", level=Level.BLOCKED, message=message, path=call.path)
            )
    return Outcome(tuple(findings), complete)


def _computed(call: Call) -> Finding:
    if _depends_on_nothing(call.name):
        # No honest automation spells a fixed name in pieces.
        code, level, message = "hidden_service", Level.BLOCKED, "The name of a service is hidden in a template."
    else:
        code, level = "computed_service", Level.NEEDS_CONFIRMATION
        message = "Which service is called is decided only when it runs."
    return Finding(check=CHECK, code=code, level=level, message=message, path=call.path)


def _depends_on_nothing(template: str) -> bool:
    try:
        tree = parse(template)
    except UnparsableError:
        return False
    chance = any(node.name == "random" for node in tree.find_all(nodes.Filter))
    return not chance and next(tree.find_all(nodes.Name), None) is None
