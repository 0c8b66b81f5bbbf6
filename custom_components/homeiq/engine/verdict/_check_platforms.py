"""Check that the integrations that watch for the draft's triggers and conditions are set up."""

from collections.abc import Iterator
from typing import Final

from ..model import Finding, Level
from ..ports import LiveHome
from ._outcome import Outcome
from ._walk import Survey

CHECK: Final = "platforms"

# These work without an integration of their name, or are no platforms but ways of writing.
_BUILT_IN: Final = frozenset(
    {
        "and",
        "device",
        "event",
        "geo_location",
        "homeassistant",
        "not",
        "numeric_state",
        "or",
        "persistent_notification",
        "state",
        "sun",
        "template",
        "time",
        "time_pattern",
        "trigger",
        "zone",
    }
)


def check(survey: Survey, home: LiveHome) -> Outcome:
    """Block triggers and conditions of an integration that is not set up: Home Assistant takes them, and none fires."""
    places = dict(reversed([(name.partition(".")[0], path) for name, path in survey.platforms]))
    answers = {domain: home.integration_loaded(domain) for domain in places if domain not in _BUILT_IN}
    return Outcome(tuple(_findings(answers, places)), complete=None not in answers.values())


def _findings(answers: dict[str, bool | None], places: dict[str, str]) -> Iterator[Finding]:
    for domain, loaded in answers.items():
        if loaded is False:
            message = f"The integration {domain}, which this part needs, is not set up in this home."
            yield Finding(
                check=CHECK, code="integration_not_loaded", level=Level.BLOCKED, message=message, path=places[domain]
            )
