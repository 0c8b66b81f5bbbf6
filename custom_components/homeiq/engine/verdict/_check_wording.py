"""Check the id, alias and description: they end up in files, lists and prompts."""

import re
from typing import Final

from ..model import Finding, Level
from ..ports import LiveHome
from ._outcome import Outcome
from ._walk import Survey

CHECK: Final = "wording"

_MAX_ALIAS: Final = 255
_MAX_DESCRIPTION: Final = 4_000
_MAX_ID: Final = 255
_PATH: Final = re.compile(r"[/\\]|\.\.|[\x00-\x1f\x7f]")
# Characters that reverse or hide the text around them (Unicode's bidirectional controls), and control characters.
_HIDING: Final = re.compile(r"[\u202a-\u202e\u2066-\u2069\u200b-\u200f\ufeff\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_INSTRUCTING: Final = re.compile(
    r"ignore\s+(?:all\s+)?(?:previous|prior|above)\s+instructions|</?(?:system|automation|assistant|user)>",
    re.IGNORECASE,
)


def check(survey: Survey, _home: LiveHome) -> Outcome:
    """Block ids that are no ids and texts that hide something; note texts that address a language model."""
    findings: list[Finding] = []
    identifier = survey.config.get("id", "none")
    if (
        not isinstance(identifier, str)
        or not identifier.strip()
        or len(identifier) > _MAX_ID
        or _PATH.search(identifier)
    ):
        findings.append(
            _finding("bad_id", Level.BLOCKED, "The id is empty, too long, not text, or looks like a path.", "id")
        )
    for key, longest in (("alias", _MAX_ALIAS), ("description", _MAX_DESCRIPTION)):
        text = survey.config.get(key)
        if not isinstance(text, str):
            continue
        if len(text) > longest:
            findings.append(_finding("long_text", Level.BLOCKED, f"The {key} has more than {longest} characters.", key))
        if _HIDING.search(text):
            findings.append(_finding("hidden_text", Level.BLOCKED, f"The {key} holds characters that hide text.", key))
        if _INSTRUCTING.search(text):
            findings.append(
                _finding("instruction", Level.NOTE, f"The {key} speaks to a language model, not to people.", key)
            )
    return Outcome(tuple(findings))


def _finding(code: str, level: Level, message: str, path: str) -> Finding:
    return Finding(check=CHECK, code=code, level=level, message=message, path=path)
