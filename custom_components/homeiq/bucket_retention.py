"""Ask how long a new bucket keeps its points; for the subentry flow and the repair flow alike."""

from typing import Final

import probatio as vol

from .form_fields import whole_number

CONF_BUCKET_DAYS: Final = "bucket_days"
FOR_EVER: Final = 0

_DAY_S: Final = 86_400
# InfluxDB counts nanoseconds in 64 bits: 292 years.
_MOST_DAYS: Final = 36_500

RETENTION: Final = vol.Schema(
    {vol.Required(CONF_BUCKET_DAYS, default=FOR_EVER): whole_number(FOR_EVER, _MOST_DAYS, "d")}
)


def retention_s(days: int) -> int | None:
    """Return the retention in seconds, None for ever."""
    return days * _DAY_S if days else None
