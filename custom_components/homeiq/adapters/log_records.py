"""Take Home Assistant's warnings and errors as events.

``system_log_event`` is fired only where the user switched ``fire_event`` on, so a handler of our own listens on the root
logger. It appends and does nothing else; it must never log.
"""

from collections.abc import Callable
import logging
import re
import time
from typing import Final, override

from homeassistant.core import callback

from ..engine.model import REDACTED, EventKind, RawEvent
from ..engine.pipeline import LogBuffer

_OWN_LOGGER: Final = "custom_components.homeiq"
_REPEAT_S: Final = 300.0
_MAX_LINE: Final = 1_000
_MAX_KNOWN: Final = 1_000

# Anybody can put a line of his own into the log: Home Assistant logs the address of every failed login. So no pattern may
# look at a character more than a bounded number of times; none begins with an open repetition, and those that follow a
# fixed beginning are possessive.
_KEYWORD: Final = (
    r"(?i)(password|passwort|passwd|passphrase|passcode|pwd|psk|secret|token|api[_-]?key|authorization|bearer"
    r"|credentials?|cookie|session[_-]?id|pin|code)"
)
# 'client_secret': 'two words' and api_key="x"; a quote that is not closed goes to the end of the line.
_QUOTED_SECRET = re.compile(_KEYWORD + r"""(["']?\s{0,4}(?:[:=]|is|was)\s{0,4})(["'])(?:(?!\3).)++""")
# "password: x", "token=x", "Authorization: Basic x", "the code is x", "pwd was x".
_NAMED_SECRET = re.compile(_KEYWORD + r"(\W{1,6}(?:(?:bearer|basic|digest|token|is|was)\W{1,3})?)([^\s,;&'\"}\])]++)")
# A password may hold an @, so it goes up to the last one before a slash.
_URL_USER = re.compile(r"(://)[^/\s]{1,512}@")
_JWT = re.compile(r"\beyJ[\w-]{8,}+\.[\w-]++\.[\w-]*+")
_LONG_RUN = re.compile(r"[A-Za-z0-9+_-]{32,}+={0,2}")
_POSITION = re.compile(r"(?i)\b(lat(?:itude)?|lon(?:gitude)?|lng)(\W{1,4})(-?\d{1,3}\.\d+)")
_POSITIONS = re.compile(r"-?\b\d{1,2}\.\d{3,}(\s*[,;]\s*)-?\d{1,3}\.\d{3,}\b")


class _BufferingHandler(logging.Handler):
    """Append records to a buffer."""

    def __init__(self, buffer: LogBuffer) -> None:
        super().__init__(logging.WARNING)
        self._buffer = buffer

    @override
    def emit(self, record: logging.LogRecord) -> None:
        if record.name != _OWN_LOGGER and not record.name.startswith(f"{_OWN_LOGGER}."):
            self._buffer.offer(record)


@callback
def async_listen_to_logs(buffer: LogBuffer) -> Callable[[], None]:
    """Offer every record of level warning or above to the buffer from now on; return a function that stops it."""
    handler = _BufferingHandler(buffer)
    root = logging.getLogger()
    root.addHandler(handler)

    @callback
    def stop() -> None:
        root.removeHandler(handler)
        handler.close()

    return stop


class LogDecoder:
    """Read log records; the same line of the same logger becomes one event per five minutes, with its count."""

    def __init__(self) -> None:
        """Begin with no line seen."""
        self._seen: dict[tuple[str, int], tuple[float, int]] = {}

    def decode(self, record: object) -> RawEvent | None:
        """Return the event of a record, None for a repetition; raises TypeError for anything but a record."""
        if not isinstance(record, logging.LogRecord):
            raise TypeError(f"not a log record: {record!r}")
        message = _message(record)
        # The hash, because what is remembered has not been scrubbed.
        key = (record.name, hash(message))
        now = time.monotonic()
        since, repeated = self._seen.get(key, (None, 0))
        if since is not None and now - since < _REPEAT_S:
            self._seen[key] = (since, repeated + 1)
            return None
        self._seen.pop(key, None)
        self._seen[key] = (now, 0)
        if len(self._seen) > _MAX_KNOWN:
            del self._seen[next(iter(self._seen))]
        data: dict[str, object] = {"level": record.levelname, "message": scrub(message)}
        if repeated:
            data["repeated"] = repeated
        return RawEvent(kind=EventKind.LOG, time_us=round(record.created * 1_000_000), name=record.name, data=data)


def scrub(line: str) -> str:
    """Return a log line without what looks like a secret or a position."""
    line = _URL_USER.sub(rf"\1{REDACTED}@", line)
    line = _JWT.sub(REDACTED, line)
    line = _QUOTED_SECRET.sub(rf"\1\2\3{REDACTED}", line)
    line = _NAMED_SECRET.sub(rf"\1\2{REDACTED}", line)
    line = _POSITION.sub(rf"\1\2{REDACTED}", line)
    line = _POSITIONS.sub(rf"{REDACTED}\1{REDACTED}", line)
    return _LONG_RUN.sub(_redact_key, line)


def _redact_key(run: re.Match[str]) -> str:
    """Redact a long run of letters and digits mixed; a long word or a long number is no key."""
    text = run[0]
    return REDACTED if any(map(str.isdigit, text)) and any(map(str.isalpha, text)) else text


def _message(record: logging.LogRecord) -> str:
    try:
        line = record.getMessage()
    except Exception:  # noqa: BLE001
        # Somebody else's wrong format string or broken __str__ must not cost the line.
        line = str(record.msg)
    return line.partition("\n")[0][:_MAX_LINE]
