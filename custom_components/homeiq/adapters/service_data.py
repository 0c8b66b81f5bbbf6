"""Choose what of a service call may be kept: its targets and plain parameters, never secrets or messages.

Runs in the bus callback, before anything is buffered: what must not be kept never reaches memory that outlives the
call. Calls are rare (some per minute), so the few microseconds do not matter.
"""

from collections.abc import Mapping
from datetime import date, time, timedelta
from typing import Final

from ..engine.model import REDACTED
from ..engine.pipeline import is_secret_name

_TARGETS: Final = frozenset({"entity_id", "device_id", "area_id", "floor_id", "label_id"})
# Parameters of Home Assistant's own actuator services whose values are settings, not words a person wrote.
_PLAIN: Final = frozenset(
    {
        "brightness",
        "brightness_pct",
        "brightness_step",
        "brightness_step_pct",
        "color_name",
        "color_temp_kelvin",
        "cycle_length",
        "date",
        "datetime",
        "direction",
        "duration",
        "effect",
        "fan_mode",
        "fan_speed",
        "flash",
        "hs_color",
        "humidity",
        "hvac_mode",
        "is_volume_muted",
        "kelvin",
        "mode",
        "operation_mode",
        "option",
        "oscillating",
        "percentage",
        "percentage_step",
        "position",
        "preset_mode",
        "repeat",
        "rgb_color",
        "rgbw_color",
        "rgbww_color",
        "seek_position",
        "shuffle",
        "skip_condition",
        "source",
        "sound_mode",
        "swing_mode",
        "target_temp_high",
        "target_temp_low",
        "temperature",
        "tilt_position",
        "time",
        "timestamp",
        "transition",
        "value",
        "volume_level",
        "xy_color",
    }
)
# The domains whose services these are. Anywhere else (scripts, shell and REST commands, text helpers, other
# integrations' own services) a plain name may stand for anything: a script's "value" may be a lock's code.
_ACTUATORS: Final = frozenset(
    {
        "automation",
        "climate",
        "counter",
        "cover",
        "date",
        "datetime",
        "fan",
        "homeassistant",
        "humidifier",
        "input_boolean",
        "input_datetime",
        "input_number",
        "input_select",
        "lawn_mower",
        "light",
        "media_player",
        "number",
        "remote",
        "scene",
        "select",
        "siren",
        "switch",
        "time",
        "timer",
        "vacuum",
        "valve",
        "water_heater",
    }
)
_PARTS: Final = frozenset({"days", "hours", "minutes", "seconds", "milliseconds"})
_MAX_WORD: Final = 32
_MAX_ITEMS: Final = 256


def keep_service_data(domain: str, data: Mapping[str, object]) -> dict[str, object]:
    """Return the part of a call's data that may be stored; every other field is named, its value redacted."""
    kept: dict[str, object] = {}
    known = domain in _ACTUATORS
    for name, value in data.items():
        if name in _TARGETS:
            kept[name] = _targets(value)
        elif known and name in _PLAIN and not is_secret_name(name):
            kept[name] = _plain(value)
        else:
            kept[name] = REDACTED
    return kept


def _targets(value: object) -> object:
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple | set):
        return [str(item) for item in list(value)[:_MAX_ITEMS]]
    return REDACTED


def _plain(value: object) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return value if len(value) <= _MAX_WORD else REDACTED
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value[:8]]
    if isinstance(value, Mapping):
        # A duration in parts; whatever else it is was not foreseen.
        known = all(name in _PARTS and isinstance(part, int | float) for name, part in value.items())
        return dict(value) if known else REDACTED
    # Times and durations arrive as objects whose text is the setting.
    return str(value) if isinstance(value, date | time | timedelta) else REDACTED
