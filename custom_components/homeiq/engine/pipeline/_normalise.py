"""Turn a raw event into the row that is stored: clean text, kept attributes, time in the previous state."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import lru_cache
from typing import Final

import orjson

from ..model import EventKind, RawEvent

# Home Assistant's recorder drops attributes beyond the same size.
MAX_PAYLOAD_BYTES: Final = 16_384
_MAX_STATE: Final = 255
_MAX_ID: Final = 255
# 9999-12-31 UTC: later times cannot be shown as a date, and one of them would spoil every answer that holds it.
_LATEST_US: Final = 253_402_214_400_000_000
_MAX_DEPTH: Final = 32
_OPTIONS: Final = orjson.OPT_NON_STR_KEYS | orjson.OPT_SORT_KEYS | orjson.OPT_PASSTHROUGH_DATACLASS

# Wording, pictures and feature bits: they say nothing about what happened, and some change with every restart.
_VOLATILE: Final = frozenset(
    {"attribution", "restored", "supported_features", "entity_picture", "entity_picture_local", "icon", "editable"}
)
_POSITIONS: Final = frozenset(
    {
        "latitude",
        "longitude",
        "gps_accuracy",
        "gps",
        "lat",
        "lon",
        "lng",
        "coordinates",
        "location",
        "address",
        "formatted_address",
        "street",
        "altitude",
        "vertical_accuracy",
        "course",
        "speed",
    }
)
_TOO_DEEP: Final = "…"
_SECRET_WORDS: Final = ("password", "passwd", "secret", "token", "api_key", "apikey", "credential")
_SECRET_NAMES: Final = frozenset({"code", "pin", "pin_code", "user_code", "passcode", "key", "auth", "authorization"})


def is_secret_name(name: str) -> bool:
    """Return whether a field of this name may hold something that must not be kept."""
    lowered = name.lower()
    return lowered in _SECRET_NAMES or any(word in lowered for word in _SECRET_WORDS)


def clean_text(text: str, limit: int) -> str:
    """Return text that can be stored as UTF-8, cut to ``limit`` characters."""
    if not text.isascii():
        # A lone surrogate cannot be encoded and would fail its whole batch.
        text = text.encode("utf-8", "replace").decode("utf-8")
    return text if len(text) <= limit else text[:limit]


def clean_state(state: str | None) -> str | None:
    """Return a state as it is stored; Home Assistant itself allows 255 characters."""
    return state if state is None or (state.isascii() and len(state) <= _MAX_STATE) else clean_text(state, _MAX_STATE)


def clean_id(text: str | None) -> str | None:
    """Return an id as it is stored."""
    return text if text is None or (text.isascii() and len(text) <= _MAX_ID) else clean_text(text, _MAX_ID)


def clean_time(time_us: int) -> int:
    """Return a time that a date can show: not before 1970 and not after 9999."""
    return min(max(time_us, 0), _LATEST_US)


def held_us(raw: RawEvent) -> int | None:
    """Return how long the previous state had lasted, None where that is not known or the clock went backwards."""
    if raw.old_changed_us is None or raw.old_changed_us > raw.time_us:
        return None
    return clean_time(raw.time_us) - clean_time(raw.old_changed_us)


def is_attribute_only(raw: RawEvent) -> bool:
    """Return whether only attributes changed, not the state."""
    return raw.kind is EventKind.STATE and raw.state is not None and raw.state == raw.old_state and not raw.renewed


class PayloadEncoder:
    """Encode attributes and data as compact JSON; attributes that did not change are encoded once.

    Home Assistant hands out the same attributes object as long as nothing in it changed, so identity is the test.
    """

    def __init__(self, *, positions: bool) -> None:
        """Choose whether positions may be kept."""
        self._hidden = _VOLATILE if positions else _VOLATILE | _POSITIONS
        self._last: dict[str, tuple[Mapping[str, object], frozenset[str], str | None]] = {}

    def attributes(self, raw: RawEvent) -> str | None:
        """Return an entity's kept attributes, None where none are left or they are too large."""
        if raw.entity_id is None:
            return None
        if raw.attributes is None:
            # The entity is gone.
            self._last.pop(raw.entity_id, None)
            return None
        last = self._last.get(raw.entity_id)
        if last is not None and last[0] is raw.attributes and last[1] == raw.unkept:
            return last[2]
        kept = {name: value for name, value in self._shown(raw.attributes, 0).items() if name not in raw.unkept}
        text = encode(kept) if kept else None
        self._last[raw.entity_id] = (raw.attributes, raw.unkept, text)
        return text

    def _shown(self, data: Mapping[object, object] | Mapping[str, object], depth: int) -> dict[object, object]:
        return {
            name: self._shown_value(value, depth + 1)
            for name, value in data.items()
            if not _is_hidden(str(name), self._hidden)
        }

    def _shown_value(self, value: object, depth: int) -> object:
        if isinstance(value, str | int | float | None):
            return value
        if depth > _MAX_DEPTH:
            return _TOO_DEEP
        if isinstance(value, Mapping):
            return self._shown(value, depth)
        if isinstance(value, list | tuple):
            return [self._shown_value(item, depth + 1) for item in value]
        if is_dataclass(value) and not isinstance(value, type):
            return self._shown({field.name: getattr(value, field.name, None) for field in fields(value)}, depth)
        return value


# A home has some hundred names of attributes; looking at each anew took a third of the time of an event.
@lru_cache(maxsize=4_096)
def _is_hidden(name: str, hidden: frozenset[str]) -> bool:
    return name.lower() in hidden or is_secret_name(name)


def encode(data: Mapping[str, object] | Mapping[object, object]) -> str | None:
    """Return data as compact JSON with sorted keys, None if it is larger than 16 KiB.

    A value that JSON cannot hold (an integer beyond 64 bits, a lone surrogate, an object) is kept as its text.
    """
    try:
        text = orjson.dumps(data, default=_plain, option=_OPTIONS)
    except TypeError:
        cleaned = {clean_text(str(name), _MAX_STATE): _printable(value) for name, value in data.items()}
        text = orjson.dumps(cleaned, default=_plain, option=_OPTIONS)
    return text.decode() if len(text) <= MAX_PAYLOAD_BYTES else None


def _printable(value: object) -> object:
    try:
        orjson.dumps(value, default=_plain, option=_OPTIONS)
    except TypeError:
        return _text_of(value)
    return value


def _plain(value: object) -> object:
    if isinstance(value, set | frozenset):
        return sorted(map(_text_of, value))
    if isinstance(value, Mapping):
        return dict(value)
    return _text_of(value)


def _text_of(value: object) -> str:
    try:
        text = str(value)
    except Exception:  # noqa: BLE001
        # Somebody else's broken __str__, or an integer of more than 4,300 digits, must not cost the event.
        text = f"<{type(value).__name__}>"
    return clean_text(text, MAX_PAYLOAD_BYTES)
