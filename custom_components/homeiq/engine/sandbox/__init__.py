"""Run jobs in limited child processes: the door of the sandbox room.

What holds a child here: its own process and session, an empty environment, rlimits, no new privileges, a wall clock
kept by the parent and a cap on what it may answer. System calls are not filtered yet.
"""

from ._limits import Limits
from ._runner import ChildRunner

__all__ = ["ChildRunner", "Limits"]
