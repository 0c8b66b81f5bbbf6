"""Find habits in columns of acts: pure, for a child process; imports numpy.

To add a detector: one file with a ``detect(series, days)`` that yields every candidate it tested, good or poor, and a
line in ``_mine.DETECTORS``. Significance over all candidates, merging and ranking happen once, behind it.
"""

from ._acts import ACTUATOR_DOMAINS
from ._mine import mine

__all__ = ["ACTUATOR_DOMAINS", "mine"]
