"""Turn the engine's microseconds since the epoch into Home Assistant's times and back."""

from datetime import UTC, datetime
from typing import Final

from homeassistant.util import dt as dt_util

DAY_US: Final = 86_400_000_000


def now_us() -> int:
    """Return the time in microseconds since the epoch."""
    return round(dt_util.utcnow().timestamp() * 1_000_000)


def moment(time_us: int) -> datetime:
    """Return a time in UTC, to the second below."""
    return datetime.fromtimestamp(time_us // 1_000_000, UTC)


def iso(time_us: int | None) -> str | None:
    """Return a time in UTC as text, exact to the microsecond; None for none."""
    if time_us is None:
        return None
    return moment(time_us).replace(microsecond=time_us % 1_000_000).isoformat(timespec="microseconds")
