"""Define a draft automation and the suggestion that carries it with its evidence and verdict."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from ._habit import Habit
from ._json import Json
from ._verdict import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """Hold one automation's configuration in Home Assistant's current syntax, not yet judged.

    ``key`` is a content hash of the configuration without its wording: equal drafts have equal keys.
    """

    key: str
    config: Mapping[str, Json]
    explanation: str


class SuggestionState(StrEnum):
    """Name the stations of a suggestion's life."""

    PROPOSED = "proposed"
    BLOCKED = "blocked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """Join a draft to the habit it came from, its verdict and its state."""

    key: str
    draft: Draft
    habit: Habit
    verdict: Verdict
    state: SuggestionState
