"""Tell which events are stored already, for sources that may offer them twice."""

from collections import Counter
from collections.abc import Sequence
from itertools import batched
from typing import Final

import aiosqlite

from ..model import Event
from ._codes import KIND_TO_CODE
from ._rows import STATE_JOIN
from ._times import from_column, to_column

_LOOKUP: Final = 400

type _Identity = tuple[str | None, int, int, str | None]


async def missing_of(connection: aiosqlite.Connection, events: Sequence[Event], *, twins: bool = False) -> list[Event]:
    """Return the events that are not stored yet, in their order, each once.

    Two events are the same if entity, time, kind and state are, or the name where there is no state. With ``twins`` an
    event that is offered several times is meant to be there as often, so that only what is missing of it is returned.
    """
    stored: Counter[_Identity] = Counter()
    for part in batched(sorted({to_column(event.time_us) for event in events}), _LOOKUP, strict=False):
        rows = await connection.execute_fetchall(
            "SELECT n.key, e.at, e.kind, COALESCE(s.key, e.state, m.key) FROM events AS e"
            f" LEFT JOIN entities AS n ON n.id = e.entity {STATE_JOIN}"
            " LEFT JOIN texts AS m ON m.id = e.name"
            f" WHERE e.at IN ({','.join('?' * len(part))})",
            part,
        )
        stored.update((entity, from_column(at), kind, state) for entity, at, kind, state in rows)
    missing: list[Event] = []
    for event in events:
        identity = _identity(event)
        if not stored[identity]:
            missing.append(event)
            stored[identity] = 0 if twins else 1
        elif twins:
            stored[identity] -= 1
    return missing


def _identity(event: Event) -> _Identity:
    state = event.state if event.state is not None else event.name
    return event.entity_id, event.time_us, KIND_TO_CODE[event.kind], state
