"""Read the fields of a service call; what does not fit becomes an error that names the field and the value.

A schema answers bad input in English and without a translation, so services take their data through this reader.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from homeassistant.core import valid_entity_id
from homeassistant.exceptions import ServiceValidationError
from homeassistant.util import dt as dt_util
import probatio as vol

from .const import DOMAIN

_SHOWN: Final = 100


def error(key: str, **placeholders: str) -> ServiceValidationError:
    """Return a translated error."""
    return ServiceValidationError(translation_domain=DOMAIN, translation_key=key, translation_placeholders=placeholders)


def bad_value(field: str, value: object) -> ServiceValidationError:
    """Return the error for a value that does not fit its field."""
    return error("invalid_value", field=field, value=str(value)[:_SHOWN])


def schema(names: Iterable[str], read: Callable[[Fields], Mapping[str, Any]]) -> vol.Schema:
    """Return a schema that knows the names and reads a call's fields with ``read``."""
    known = frozenset(names)

    def validate(data: Any) -> dict[str, Any]:
        if not isinstance(data, Mapping):
            raise bad_value("data", data)
        for name in data:
            if name not in known:
                raise error("unknown_field", field=str(name), value=str(data[name])[:_SHOWN])
        return dict(read(Fields(data)))

    return vol.Schema(validate)


class Fields:
    """Give a call's fields their types; every method raises ServiceValidationError."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        """Take the call's data."""
        self._data = data

    def required_text(self, field: str, longest: int) -> str:
        """Return a text that must be there and not be longer than this many characters."""
        value = self._data.get(field)
        if value is None:
            raise error("missing_field", field=field)
        if not isinstance(value, str) or not value.strip():
            raise bad_value(field, value)
        if len(value) > longest:
            raise error("too_long", field=field, value=str(len(value)), limit=str(longest))
        return value

    def entity_id(self, field: str) -> str:
        """Return one entity id that must be there."""
        value = self._data.get(field)
        if value is None:
            raise error("missing_field", field=field)
        ids = self.entity_ids(field)
        if ids is None or len(ids) != 1:
            raise bad_value(field, value)
        return ids[0]

    def entity_ids(self, field: str) -> tuple[str, ...] | None:
        """Return entity ids, given as a list or as comma-separated text; None where the field is not given."""
        items = self._items(field)
        if items is None:
            return None
        for item in items:
            if not valid_entity_id(item):
                raise bad_value(field, item)
        return tuple(dict.fromkeys(items))

    def members[T: StrEnum](self, field: str, kind: type[T]) -> tuple[T, ...] | None:
        """Return members of an enumeration; None where the field is not given."""
        items = self._items(field)
        if items is None:
            return None
        for item in items:
            if item not in kind:
                raise bad_value(field, item)
        return tuple(kind(item) for item in items)

    def member[T: StrEnum](self, field: str, default: T) -> T:
        """Return one member of an enumeration, the default where it is not given."""
        value = self._data.get(field)
        if value is None:
            return default
        kind = type(default)
        if not isinstance(value, str) or value not in kind:
            raise bad_value(field, value)
        return kind(value)

    def time_us(self, field: str) -> int | None:
        """Return a time in microseconds since the epoch; a time without offset is local."""
        value = self._data.get(field)
        if value is None:
            return None
        try:
            parsed = value if isinstance(value, datetime) else dt_util.parse_datetime(str(value))
        except ValueError as err:
            # The 30th of February looks like a time.
            raise bad_value(field, value) from err
        if parsed is None:
            raise bad_value(field, value)
        if parsed.tzinfo is None:
            parsed = parsed.replace(tzinfo=dt_util.get_default_time_zone())
        return round(parsed.timestamp() * 1_000_000)

    def time_range_us(self, first: str, last: str) -> tuple[int | None, int | None]:
        """Return two times of which the second must be after the first, where both are given."""
        start_us, end_us = self.time_us(first), self.time_us(last)
        if start_us is not None and end_us is not None and end_us <= start_us:
            raise bad_value(last, self._data[last])
        return start_us, end_us

    def number(self, field: str, lowest: int, highest: int, default: int | None = None) -> int:
        """Return a whole number within bounds; the default where it is not given, an error where there is none."""
        value = self._data.get(field)
        if value is None:
            if default is None:
                raise error("missing_field", field=field)
            return default
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise bad_value(field, value)
        try:
            number = int(value)
            exact = number == float(value)
        except (ValueError, OverflowError) as err:
            raise bad_value(field, value) from err
        if not exact or not lowest <= number <= highest:
            shown = str(value)[:_SHOWN]
            raise error("out_of_range", field=field, value=shown, lowest=str(lowest), highest=str(highest))
        return number

    def numbers(self, field: str, lowest: int, highest: int) -> tuple[int, ...] | None:
        """Return whole numbers within bounds, given as a list or as comma-separated text; None where it is not given."""
        value = self._data.get(field)
        if value is None:
            return None
        items = value.split(",") if isinstance(value, str) else value
        if not isinstance(items, list | tuple) or not items:
            raise bad_value(field, value)
        # A null among them is no missing field.
        return tuple(Fields({field: "" if item is None else item}).number(field, lowest, highest) for item in items)

    def refusal(self, field: str) -> ServiceValidationError:
        """Return the error for a field's value that does not fit the others."""
        return bad_value(field, self._data.get(field))

    def flag(self, field: str) -> bool:
        """Return a yes or no, no where it is not given."""
        value = self._data.get(field, False)
        if not isinstance(value, bool):
            raise bad_value(field, value)
        return value

    def text(self, field: str) -> str | None:
        """Return a text; None where it is not given."""
        value = self._data.get(field)
        if value is not None and not isinstance(value, str):
            raise bad_value(field, value)
        return value

    def optional_text(self, field: str, longest: int) -> str | None:
        """Return a text that must not be longer than this many characters; None where it is not given."""
        return None if self._data.get(field) is None else self.required_text(field, longest)

    def _items(self, field: str) -> list[str] | None:
        value = self._data.get(field)
        if value is None:
            return None
        items = [item.strip() for item in value.split(",")] if isinstance(value, str) else value
        if not isinstance(items, list | tuple) or not items:
            raise bad_value(field, value)
        for item in items:
            if not isinstance(item, str):
                raise bad_value(field, item)
        return list(items)
