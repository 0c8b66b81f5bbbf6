"""Read untrusted automation text and judge drafts: the door of the verdict room.

``read_job`` runs in a confined child; ``judge`` and ``judge_reading`` run beside Home Assistant.
"""

from ._judge import CHECKS, HOME_ASSISTANT, REPLAY, judge, judge_reading
from ._outcome import Check, Outcome
from ._read import READING, Reading, read_automation, read_job, reading_from_answer
from ._templates import templates_in

__all__ = [
    "CHECKS",
    "HOME_ASSISTANT",
    "READING",
    "REPLAY",
    "Check",
    "Outcome",
    "Reading",
    "judge",
    "judge_reading",
    "read_automation",
    "read_job",
    "reading_from_answer",
    "templates_in",
]
