"""Check that every entity that the draft names exists."""

from typing import Final

from ..model import Finding, Level
from ..ports import LiveHome
from ._outcome import Outcome
from ._walk import RefKind, Survey

CHECK: Final = "entities"


def check(survey: Survey, home: LiveHome) -> Outcome:
    """Block what names an unknown entity, in templates too; each entity is reported where it stands first."""
    places = {
        ref.value: ref.path
        for ref in reversed(survey.references)
        if ref.kind is RefKind.ENTITY and ref.value not in survey.made
    }
    answers = {entity_id: home.entity_exists(entity_id) for entity_id in places}
    return Outcome(
        tuple(
            Finding(
                check=CHECK,
                code="unknown_entity",
                level=Level.BLOCKED,
                message=f"The entity {entity_id} does not exist in this home.",
                path=places[entity_id],
            )
            for entity_id, exists in answers.items()
            if exists is False
        ),
        complete=None not in answers.values(),
    )
