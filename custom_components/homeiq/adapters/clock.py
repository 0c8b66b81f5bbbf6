"""Tell the time to the engine."""

import time
from typing import override

from ..engine.ports import Clock


class SystemClock(Clock):
    """Read the machine's clocks."""

    @override
    def now_us(self) -> int:
        return time.time_ns() // 1_000

    @override
    def monotonic(self) -> float:
        return time.monotonic()
