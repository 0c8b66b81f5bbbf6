"""Lay states out as Home Assistant's influxdb integration does with its defaults, layout ``core``.

| part | holds |
|---|---|
| measurement | the unit of measurement, or the entity id where there is none |
| tags | domain, entity_id (without the domain), and home where one is set |
| ``value`` (float) | the state as a number |
| ``state`` (string) | the state where it is no number by itself |
| one field per attribute | a float where it is one, else ``<attribute>_str``, and a float beside it where a number is in the text |

Boards that were made for that integration go on working. As there, only states count: ``unknown``, ``unavailable``,
removals, calls, runs and logs have no line. Attributes that HomeIQ does not keep (icons, pictures, feature bits) are
missing. An attribute may change its type there as well as here; what the server then refuses is a dead letter.
"""

from math import isfinite
import re
from typing import Final

import orjson

from ..model import Event, EventKind, Json
from ._escaping import key, measurement, number, text

_CACHE: Final = 20_000
_PAYLOADS: Final = 1_000
_UNIT: Final = "unit_of_measurement"
_STATES: Final = frozenset({EventKind.STATE, EventKind.ATTRIBUTES})
_NO_STATES: Final = frozenset({None, "", "unknown", "unavailable"})
# helpers/state.py, state_as_number.
_NUMBERS: Final = {
    **dict.fromkeys(("on", "locked", "above_horizon", "open", "home"), 1.0),
    **dict.fromkeys(("off", "unlocked", "below_horizon", "closed", "not_home"), 0.0),
}
# components/influxdb/const.py, RE_DIGIT_TAIL and RE_DECIMAL.
_ONE_NUMBER: Final = re.compile(r"^[^\.]*\d+\.?\d+[^\.]*$")
_NO_DECIMAL: Final = re.compile(r"[^\d.]+")

type _Attributes = dict[str, Json]
type _Fields = dict[str, float | str]


class CoreLayout:
    """Write measurement and tags, and fields of which those from attributes are cached per payload."""

    def __init__(self, home: str = "") -> None:
        """Take the home tag, empty for none."""
        self._home = home
        self._prefixes: dict[tuple[str | None, Json], str] = {}
        self._attributes: dict[str, _Attributes] = {}
        self._parts: dict[tuple[str, bool, bool], tuple[str, str, str]] = {}

    def series(self, event: Event) -> str:
        """Return measurement and tags."""
        unit = self._unit(event)
        cached = self._prefixes.get((event.entity_id, unit))
        if cached is None:
            if len(self._prefixes) >= _CACHE:
                self._prefixes.clear()
            cached = self._prefixes[event.entity_id, unit] = self._make(event.entity_id or "", unit)
        return cached

    def fields(self, event: Event) -> str | None:
        """Return the fields in alphabetical order, None where that integration writes nothing."""
        state = event.state
        if event.kind not in _STATES or event.entity_id is None or state is None or state in _NO_STATES:
            return None
        value, is_text = _value(state)
        before, between, after = self._split(event.payload or "", is_text, value is not None)
        parts = [before]
        if is_text:
            parts.append(f'state="{text(_single_line(state))}"')
        parts.append(between)
        if value is not None and isfinite(value):
            parts.append(f"value={number(value)}")
        parts.append(after)
        return ",".join(part for part in parts if part) or None

    def value(self, event: Event) -> float | None:
        """Return the state as a finite number, None if it is none."""
        if event.kind not in _STATES or event.state is None or event.state in _NO_STATES:
            return None
        value, _ = _value(event.state)
        return value if value is not None and isfinite(value) else None

    def _unit(self, event: Event) -> str:
        """Return the unit among the attributes; where those were too large to keep, the one in the facts."""
        if event.payload is None:
            return event.facts.unit or ""
        unit = self._known(event.payload).get(_UNIT)
        return "" if unit is None else str(unit)

    def _known(self, payload: str) -> _Attributes:
        attributes = self._attributes.get(payload)
        if attributes is None:
            if len(self._attributes) >= _PAYLOADS:
                self._attributes.clear()
                self._parts.clear()
            attributes = self._attributes[payload] = _read(payload)
        return attributes

    def _split(self, payload: str, has_state: bool, has_value: bool) -> tuple[str, str, str]:
        """Return the attributes' fields before ``state``, between it and ``value``, and after that."""
        cached = self._parts.get((payload, has_state, has_value))
        if cached is None:
            attributes = self._known(payload)
            taken = {name for name, there in (("state", has_state), ("value", has_value)) if there}
            fields = _flatten(attributes, taken)
            cached = self._parts[payload, has_state, has_value] = _joined(fields)
        return cached

    def _make(self, entity_id: str, unit: str) -> str:
        domain, _, name = entity_id.partition(".")
        tags = (("domain", domain), ("entity_id", name), ("home", self._home))
        return measurement(_single_line(unit or entity_id)) + "".join(
            f",{tag}={key(said)}" for tag, said in tags if said
        )


def _read(payload: str) -> _Attributes:
    """Return the attributes in a payload, none if it holds no object."""
    try:
        read: Json = orjson.loads(payload or "{}")
    except orjson.JSONDecodeError:
        return {}
    return read if isinstance(read, dict) else {}


def _value(state: str) -> tuple[float | None, bool]:
    """Return a state as a number if it is one, and whether it is a text, as two-valued states are both."""
    try:
        return float(state), False
    except ValueError:
        return _NUMBERS.get(state), True


def _flatten(attributes: _Attributes, taken: set[str]) -> _Fields:
    """Return the fields of the attributes; the unit is none of them unless the entity id is the measurement."""
    fields: _Fields = {}
    has_unit = attributes.get(_UNIT) not in (None, "")
    for name, value in attributes.items():
        if not name or (name == _UNIT and has_unit):
            continue
        # A name that is taken gets an underscore.
        name = f"{name}_" if name in fields or name in taken else name  # noqa: PLW2901
        as_float = _float(value)
        if as_float is None:
            fields[f"{name}_str"] = said = _single_line(str(value))
            as_float = float(_NO_DECIMAL.sub("", said)) if _ONE_NUMBER.match(said) else None
        if as_float is not None and isfinite(as_float):
            fields[name] = as_float
    return _without_time(fields)


def _without_time(fields: _Fields) -> _Fields:
    """Rename a field ``time``, which InfluxDB reserves."""
    if "time" in fields:
        name = "time_"
        while name in fields:
            name += "_"
        fields[name] = fields.pop("time")
    return fields


def _joined(fields: _Fields) -> tuple[str, str, str]:
    """Return the fields as text, sorted, in three parts between which ``state`` and ``value`` belong."""
    parts: tuple[list[str], list[str], list[str]] = ([], [], [])
    for name, value in sorted(fields.items()):
        said = f'"{text(value)}"' if isinstance(value, str) else number(value)
        parts[(name >= "state") + (name >= "value")].append(f"{key(name)}={said}")
    before, between, after = map(",".join, parts)
    return before, between, after


def _float(value: Json) -> float | None:
    """Return what Python's float makes of a value, None if nothing."""
    try:
        return float(value)  # type: ignore[arg-type]
    except ValueError, TypeError, OverflowError:
        return None


def _single_line(said: str) -> str:
    """Return a text with blanks for its line breaks."""
    return " ".join(said.splitlines())
