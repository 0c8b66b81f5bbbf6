"""Check that the devices, areas, floors and labels that the draft names exist."""

from typing import Final

from ..model import Finding, Level
from ..ports import LiveHome
from ._outcome import Outcome
from ._walk import RefKind, Survey

CHECK: Final = "places"

_WORDS: Final = {RefKind.DEVICE: "device", RefKind.AREA: "area", RefKind.FLOOR: "floor", RefKind.LABEL: "label"}


def check(survey: Survey, home: LiveHome) -> Outcome:
    """Block what names an unknown device, area, floor or label."""
    ask = {
        RefKind.DEVICE: home.device_exists,
        RefKind.AREA: home.area_exists,
        RefKind.FLOOR: home.floor_exists,
        RefKind.LABEL: home.label_exists,
    }
    places = {(ref.kind, ref.value): ref.path for ref in reversed(survey.references) if ref.kind in ask}
    answers = {key: ask[key[0]](key[1]) for key in places}
    return Outcome(
        tuple(
            Finding(
                check=CHECK,
                code=f"unknown_{_WORDS[kind]}",
                level=Level.BLOCKED,
                message=f"The {_WORDS[kind]} {value} does not exist in this home.",
                path=places[kind, value],
            )
            for (kind, value), exists in answers.items()
            if exists is False
        ),
        complete=None not in answers.values(),
    )
