"""Define a dead letter: an event that a replica's server refused, with the server's own words."""

from dataclasses import dataclass
from typing import Final

MAX_LETTER_BYTES: Final = 65_536
"""Bytes of a refused line that are kept."""

_CUT: Final = "…"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """Hold one refused event.

    ``event_id`` is the event's row id in the store, ``time_us`` its time. ``line`` is the line as it was sent, up to
    64 KB of it; ``status`` the HTTP status, ``words`` the server's words in one line without the token. ``noted_us``
    is when it was refused last. ``id`` is the store's, None before the letter is stored.
    """

    event_id: int
    time_us: int
    entity_id: str | None
    line: str
    status: int | None
    words: str
    noted_us: int
    id: int | None = None

    @property
    def whole(self) -> bool:
        """Return whether the line is here as it was sent, so that it could be sent again."""
        return not self.line.endswith(_CUT)


def kept_line(line: bytes) -> str:
    """Return as much of a line as a dead letter keeps; a cut one ends with an ellipsis, a whole one with a digit."""
    if len(line) <= MAX_LETTER_BYTES:
        return line.decode("utf-8", "replace")
    return line[: MAX_LETTER_BYTES - len(_CUT.encode())].decode("utf-8", "ignore") + _CUT
