"""Read untrusted YAML text into plain JSON values, or say why not.

The text is first read as a stream of parser events, which costs memory in proportion to the text: aliases (with which a
few lines grow into gigabytes), tags (which make Home Assistant's loader read files) and excesses are refused there.
Only then is anything built.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import date
from math import isfinite
from typing import Final

import yaml

from ..model import Finding, Json, Level

READING: Final = "reading"

MAX_BYTES: Final = 64_000
# The largest automation of 1,939 public ones has 1,272.
MAX_EVENTS: Final = 5_000
MAX_DEPTH: Final = 40
_MAX_INTEGER: Final = 2**63

_LOADER: Final[type[yaml.SafeLoader | yaml.CSafeLoader]] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_PLAIN_TAGS: Final = frozenset(
    f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "seq", "map", "timestamp")
)


class UnreadableError(Exception):
    """Report text that is not read, with the reason code and where it stands."""

    def __init__(self, code: str, message: str, path: str = "") -> None:
        """Keep the code for programs, the message for people and the path into the value."""
        super().__init__(message)
        self.code = code
        self.path = path

    def finding(self) -> Finding:
        """Return the error as a finding that blocks."""
        return Finding(check=READING, code=self.code, level=Level.BLOCKED, message=str(self), path=self.path)


def read_yaml(text: str) -> Json:
    """Return the value that the text describes, read as Home Assistant reads it, dates as text.

    Raises UnreadableError for whatever is refused.
    """
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise UnreadableError("not_text", "The text holds characters that are no characters.") from None
    if size > MAX_BYTES:
        raise UnreadableError("too_long", f"The text has {size} bytes; at most {MAX_BYTES} are read.")
    try:
        _inspect(text)
        value = yaml.load(text, Loader=_LOADER)  # noqa: S506 - a safe loader, chosen above
    except yaml.YAMLError as error:
        raise UnreadableError("not_yaml", f"The text is not YAML: {_one_line(error)}") from None
    except (ValueError, OverflowError, RecursionError) as error:
        # Numbers of thousands of digits, dates such as 2024-13-45.
        raise UnreadableError("bad_value", f"A value in the text cannot be read: {_one_line(error)}") from None
    return _plain(value, "")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def _inspect(text: str) -> None:
    """Refuse what must not be built; raises UnreadableError or yaml.YAMLError."""
    documents = 0
    levels: list[_Level] = []
    events: Iterator[yaml.Event] = yaml.parse(text, Loader=_LOADER)
    for number, event in enumerate(events):
        if number >= MAX_EVENTS:
            raise UnreadableError("too_big", f"The text has more than {MAX_EVENTS} parts.")
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                raise UnreadableError("several_documents", "The text holds more than one document.")
        elif isinstance(event, yaml.AliasEvent):
            raise UnreadableError("alias", _at(event, "Anchors and aliases (& and *) are not read."))
        elif isinstance(event, yaml.NodeEvent):
            _inspect_node(event, levels)
        elif isinstance(event, yaml.CollectionEndEvent):
            levels.pop()


class _Level:
    """Follow one open list or mapping: whether the next node is a key, and the keys so far."""

    def __init__(self, *, mapping: bool) -> None:
        """Start with no node read."""
        self.mapping = mapping
        self.at_key = mapping
        self.keys: set[str] = set()


def _inspect_node(event: yaml.NodeEvent, levels: list[_Level]) -> None:
    if event.anchor is not None:
        raise UnreadableError("alias", _at(event, "Anchors and aliases (& and *) are not read."))
    tag: str | None = getattr(event, "tag", None)
    if tag not in _PLAIN_TAGS and tag not in {None, "!"}:
        raise UnreadableError("tag", _at(event, f"The tag {tag} is not read; tags such as !secret never are."))
    if levels and levels[-1].mapping:
        _inspect_in_mapping(event, levels[-1])
    if isinstance(event, yaml.CollectionStartEvent):
        if len(levels) >= MAX_DEPTH:
            raise UnreadableError("too_deep", f"The text is nested more than {MAX_DEPTH} levels deep.")
        levels.append(_Level(mapping=isinstance(event, yaml.MappingStartEvent)))


def _inspect_in_mapping(event: yaml.NodeEvent, level: _Level) -> None:
    if level.at_key:
        if not isinstance(event, yaml.ScalarEvent):
            raise UnreadableError("bad_key", _at(event, "A key is a list or a mapping."))
        if event.value in level.keys:
            # YAML readers silently let the last one win.
            raise UnreadableError("duplicate_key", _at(event, f"The key {event.value[:80]!r} stands there twice."))
        level.keys.add(event.value)
    level.at_key = not level.at_key


def _at(event: yaml.Event, message: str) -> str:
    line = event.start_mark.line + 1 if event.start_mark is not None else "?"
    return f"Line {line}: {message}"


def _plain(value: object, path: str) -> Json:
    """Return the value as JSON has it; raises UnreadableError."""
    for kinds, convert in _CONVERSIONS:
        if isinstance(value, kinds):
            return convert(value, path)
    raise UnreadableError("bad_value", f"A value of the kind {type(value).__name__} is not read.", path)


def _same(value: object, _path: str) -> Json:
    assert value is None or isinstance(value, bool)
    return value


def _text(value: object, path: str) -> Json:
    assert isinstance(value, str)
    if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
        raise UnreadableError("not_text", "A text holds half of a character (a lone surrogate).", path)
    return value


def _integer(value: object, path: str) -> Json:
    assert isinstance(value, int)
    if abs(value) >= _MAX_INTEGER:
        raise UnreadableError("bad_value", "A whole number needs more than 64 bits.", path)
    return value


def _float(value: object, path: str) -> Json:
    assert isinstance(value, float)
    if not isfinite(value):
        raise UnreadableError("bad_value", "A number is infinite or not a number.", path)
    return value


def _date(value: object, _path: str) -> Json:
    assert isinstance(value, date)
    return value.isoformat()


def _list(value: object, path: str) -> Json:
    assert isinstance(value, list)
    return [_plain(item, f"{path}{'/' if path else ''}{index}") for index, item in enumerate(value)]


def _mapping(value: object, path: str) -> Json:
    assert isinstance(value, Mapping)
    plain: dict[str, Json] = {}
    for key, item in value.items():
        if not isinstance(key, str):
            raise UnreadableError("bad_key", f"The key {key!r} is not text; put it in quotes.", path)
        plain[key] = _plain(item, f"{path}{'/' if path else ''}{key}")
    return plain


_CONVERSIONS: Final[tuple[tuple[type | tuple[type, ...], Callable[[object, str], Json]], ...]] = (
    ((bool, type(None)), _same),
    (str, _text),
    (int, _integer),
    (float, _float),
    (date, _date),
    (list, _list),
    (Mapping, _mapping),
)
