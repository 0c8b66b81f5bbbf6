r"""Encode events as InfluxDB line protocol, layout ``lean``.

| part | holds |
|---|---|
| measurement | a state's domain (``light``); ``homeiq_<kind>`` for attributes, call, automation, script, system, log |
| tags | area, device_class, entity_id, home, integration, name, origin, registry_id; absent ones are left out |
| ``value`` (float) | the state as a number; 1 for kinds without a state, so that ``sum(value)`` counts them |
| ``state``, ``old`` (string) | the state and the one before |
| ``held`` (float) | seconds spent in the state before |
| ``removed`` (boolean) | true where an entity was removed, and only there |
| ``by``, ``context``, ``parent``, ``user``, ``data`` (string) | responsible id, context ids, user id, the payload's JSON |

Every field has one type for ever. Tags and fields are sorted and written as influxdb-client's ``Point`` writes them,
at a fraction of its cost: the text before the fields is cached per entity.

Times are nanoseconds: the event's microsecond, plus how many of the ``WINDOW`` rows before it belong to the same
series and microsecond. InfluxDB overwrites a point of equal series and time, so two events of one entity in one
microsecond stay two, a repeated delivery changes nothing, and the offset is 0 for all but such twins. It depends on
the rows alone: an encoder that starts in the middle is primed with the rows before.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
import re
import time
from typing import Final

from ..model import EntityFacts, Event, EventKind, Origin, numeric_value

WINDOW: Final = 1000
"""How many rows back a twin is looked for; as a nanosecond offset it stays below one microsecond."""

MAX_BODY: Final = 4 * 1024 * 1024
"""Bytes of line protocol after which a body is full; servers take 25 MB (1.x) or 50 MB (2.x)."""

MAX_TEXT: Final = 65_535
"""Bytes of one string field; InfluxDB documents a limit of 64 KB."""

_MAX_TAG: Final = 1024
_SURELY_SHORT: Final = MAX_TEXT // 4
_SLICE: Final = 64
_CACHE: Final = 50_000
_MIN_US: Final = -9_223_372_036_854_775
_MAX_US: Final = 9_223_372_036_854_774
_CUT: Final = "…"

_DOMAIN: Final = re.compile(r"[a-z0-9][a-z0-9_]*\Z")
_ESCAPE_TAG: Final = str.maketrans({
    ",": r"\,", "=": r"\=", " ": r"\ ", "\n": r"\n", "\t": r"\t", "\r": r"\r",
})  # fmt: skip
_WITH_STATE: Final = frozenset({EventKind.STATE, EventKind.ATTRIBUTES})

type _Series = tuple[EventKind, str | None, str | None, Origin]


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """Hold the body of one request, how many events it carries and the row id of the last of them."""

    body: bytes
    events: int
    last_id: int


class LineEncoder:
    """Encode events in row order; not thread-safe, one encoder per replica.

    An event encoded twice by the same encoder counts as two: after a failed delivery send the same body again.
    """

    def __init__(self, home: str = "") -> None:
        """Take the home tag, empty for none."""
        self._home = home
        self._prefixes: dict[_Series, tuple[EntityFacts, str]] = {}
        self._recent: deque[tuple[str, int]] = deque()
        self._twins: dict[tuple[str, int], int] = {}

    def prime(self, events: Sequence[Event]) -> None:
        """Take note of the rows before the first one to encode, oldest first; WINDOW of them are enough."""
        for event in events:
            self._offset_ns(self._prefix(event), _moment_us(event))

    def encode(self, events: Sequence[Event], *, max_body: int = MAX_BODY) -> Encoded:
        """Return a body with the events up to the one that fills it; at least one event is always taken.

        Runs in a worker thread and gives the interpreter lock away every 64 events, about 0.3 ms.
        Raises ValueError without events.
        """
        lines: list[bytes] = []
        size = 0
        last_id: int | None = None
        for index, event in enumerate(events):
            if index % _SLICE == _SLICE - 1:
                time.sleep(0)
            line = self._line(event).encode("utf-8", "replace")
            lines.append(line)
            last_id = event.id
            size += len(line) + 1
            if size >= max_body:
                break
        if last_id is None:
            raise ValueError("only stored events can be encoded, and at least one")
        return Encoded(body=b"\n".join(lines), events=len(lines), last_id=last_id)

    def _line(self, event: Event) -> str:
        """Return one line, without its end."""
        prefix = self._prefix(event)
        moment = _moment_us(event)
        return f"{prefix} {_fields(event)} {moment * 1000 + self._offset_ns(prefix, moment)}"

    def _prefix(self, event: Event) -> str:
        """Return measurement and tags; cached until the entity's facts change."""
        series = (event.kind, event.entity_id, event.name, event.origin)
        facts = event.facts
        cached = self._prefixes.get(series)
        if cached is not None and (cached[0] is facts or cached[0] == facts):
            return cached[1]
        if len(self._prefixes) >= _CACHE:
            self._prefixes.clear()
        prefix = self._make_prefix(event)
        self._prefixes[series] = (facts, prefix)
        return prefix

    def _make_prefix(self, event: Event) -> str:
        facts = event.facts
        tags = (
            ("area", facts.area_id),
            ("device_class", facts.device_class),
            ("entity_id", event.entity_id),
            ("home", self._home),
            ("integration", facts.integration),
            ("name", event.name),
            ("origin", event.origin.value),
            ("registry_id", facts.registry_id),
        )
        return _measurement(event) + "".join(f",{key}={_tag(text)}" for key, text in tags if text)

    def _offset_ns(self, prefix: str, moment: int) -> int:
        """Return how many of the rows before, back to WINDOW, have this series and microsecond; count this row."""
        key = (prefix, moment)
        before = self._twins.get(key, 0)
        self._twins[key] = before + 1
        self._recent.append(key)
        if len(self._recent) >= WINDOW:
            oldest = self._recent.popleft()
            left = self._twins[oldest] - 1
            if left:
                self._twins[oldest] = left
            else:
                del self._twins[oldest]
        return before


def check_line(home: str) -> bytes:
    """Return the one point that a connection check writes; the server dates it."""
    tag = f",home={_tag(home)}" if home else ""
    return f"homeiq_check{tag} connected=true".encode("utf-8", "replace")


def _moment_us(event: Event) -> int:
    """Return the event's time, or the nearest that InfluxDB can date (years 1677 to 2262)."""
    return min(max(event.time_us, _MIN_US), _MAX_US)


def _measurement(event: Event) -> str:
    """Return a state's domain if it is an ordinary word, else the event's kind."""
    if event.kind is EventKind.STATE and event.entity_id is not None:
        domain, dot, _ = event.entity_id.partition(".")
        # Anything else might be read as a comment (#) or as one of InfluxDB's reserved names (_).
        if dot and _DOMAIN.match(domain):
            return domain
    return f"homeiq_{event.kind.value}"


def _fields(event: Event) -> str:
    """Return the fields in alphabetical order; there is always at least one."""
    kind = event.kind
    state = event.state
    fields = ""
    if (text := event.responsible) is not None:
        fields = f',by="{_text(text)}"'
    if (text := event.context_id) is not None:
        fields += f',context="{_text(text)}"'
    if (text := event.payload) is not None:
        fields += f',data="{_text(text)}"'
    if (held_us := event.held_us) is not None:
        fields += f",held={_number(held_us / 1e6)}"
    if (text := event.old_state) is not None:
        fields += f',old="{_text(text)}"'
    if (text := event.parent_id) is not None:
        fields += f',parent="{_text(text)}"'
    if state is not None:
        fields += f',state="{_text(state)}"'
    elif kind is EventKind.STATE:
        fields += ",removed=true"
    if (text := event.user_id) is not None:
        fields += f',user="{_text(text)}"'
    if kind not in _WITH_STATE:
        fields += ",value=1"
    elif (value := numeric_value(state)) is not None:
        fields += f",value={_number(value)}"
    # An attribute event that says nothing still happened.
    return fields[1:] or 'state=""'


def _number(value: float) -> str:
    """Return the shortest text that reads back as this float; InfluxDB takes it for a float without ``.0`` too."""
    text = repr(value)
    return text.removesuffix(".0")


def _text(text: str) -> str:
    """Return what stands between the quotes of a string field; line breaks may."""
    if len(text) > _SURELY_SHORT and len(raw := text.encode("utf-8", "replace")) > MAX_TEXT:
        text = raw[: MAX_TEXT - len(_CUT.encode())].decode("utf-8", "ignore") + _CUT
    if "\\" in text:
        text = text.replace("\\", r"\\")
    return text.replace('"', r"\"") if '"' in text else text


def _tag(text: str) -> str:
    """Return a tag's value; a last backslash would swallow what follows, so an escaped blank comes after it."""
    escaped = text[:_MAX_TAG].translate(_ESCAPE_TAG)
    return escaped + r"\ " if escaped.endswith("\\") else escaped
