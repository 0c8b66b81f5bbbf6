"""Tell which events are stored already, for sources that may offer them twice."""

from collections.abc import Sequence
from itertools import batched
from typing import Final

import aiosqlite

from ..model import Event
from ._codes import KIND_TO_CODE

_LOOKUP: Final = 400

type _Identity = tuple[str | None, int, int, str | None]


async def missing_of(connection: aiosqlite.Connection, events: Sequence[Event]) -> list[Event]:
    """Return the events that are not stored yet, in their order, each once.

    Two events are the same if entity, time, kind and state are, or the name where there is no state.
    """
    seen: set[_Identity] = set()
    for part in batched(sorted({event.time_us for event in events}), _LOOKUP, strict=False):
        rows = await connection.execute_fetchall(
            "SELECT n.key, e.time_us, e.kind, COALESCE(e.state_text, s.key, m.key) FROM events AS e"
            " LEFT JOIN entities AS n ON n.id = e.entity LEFT JOIN texts AS s ON s.id = e.state"
            " LEFT JOIN texts AS m ON m.id = e.name"
            f" WHERE e.time_us IN ({','.join('?' * len(part))})",
            part,
        )
        seen.update((entity, time_us, kind, state) for entity, time_us, kind, state in rows)
    missing: list[Event] = []
    for event in events:
        identity = _identity(event)
        if identity not in seen:
            seen.add(identity)
            missing.append(event)
    return missing


def _identity(event: Event) -> _Identity:
    state = event.state if event.state is not None else event.name
    return event.entity_id, event.time_us, KIND_TO_CODE[event.kind], state
