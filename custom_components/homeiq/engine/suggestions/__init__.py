"""Turn habits into automations: the door of the suggestions room."""

from ._drafting import draft_from_habit

__all__ = ["draft_from_habit"]
