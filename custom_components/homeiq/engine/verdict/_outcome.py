"""Define what a check is: a function of the surveyed draft and the home that gives findings."""

from collections.abc import Callable
from dataclasses import dataclass

from ..model import Finding
from ..ports import LiveHome
from ._walk import Survey


@dataclass(frozen=True, slots=True)
class Outcome:
    """Hold a check's findings, and whether the home could answer all that it asked."""

    findings: tuple[Finding, ...] = ()
    complete: bool = True


type Check = Callable[[Survey, LiveHome], Outcome]
