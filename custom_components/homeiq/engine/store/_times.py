"""Keep times small: SQLite needs six bytes instead of eight for a number below 2^47.

The column ``at`` counts microseconds from 2029-01-01 UTC, so that all times within 4.46 years of it, 2024 to 2033, take
six bytes in the row and in both indexes; any other time takes eight and is as exact.
"""

from typing import Final

EPOCH_US: Final = 1_861_920_000_000_000


def to_column(time_us: int) -> int:
    """Return a time in microseconds since 1970 as the column holds it."""
    return time_us - EPOCH_US


def from_column(at: int) -> int:
    """Return what the column holds as microseconds since 1970."""
    return at + EPOCH_US
