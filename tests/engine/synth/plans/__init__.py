"""Gather the kinds of plan; each has its own file."""

from ._automation_at import AutomationAt
from ._automation_follows import AutomationFollows
from ._clock_habit import ClockHabit, Undo
from ._dropouts import Dropouts
from ._motion import Motion
from ._presence import Presence
from ._random_acts import RandomActs
from ._temperature import Temperature

__all__ = [
    "AutomationAt",
    "AutomationFollows",
    "ClockHabit",
    "Dropouts",
    "Motion",
    "Presence",
    "RandomActs",
    "Temperature",
    "Undo",
]
