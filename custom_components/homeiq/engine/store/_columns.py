"""Read the store as columns, for mining: synchronous, on a connection of its own, from any process.

Rows stream through SQLite's cursor into flat arrays, so a month of a busy home never stands in memory as objects.
"""

from array import array
from collections.abc import Sequence
from itertools import batched
from pathlib import Path
import sqlite3
from typing import Final

from ..model import SLOT_US, ActColumns, EventKind, Origin
from ._codes import KIND_TO_CODE, ORIGIN_TO_CODE
from ._connection import reading
from ._rows import OLD_STATE_JOIN, STATE_JOIN
from ._times import EPOCH_US, to_column

# Shorter stretches of `unavailable` are restarts and radio hiccups: whoever acted in them was still seen.
_OUTAGE_US: Final = 600_000_000
_BATCH: Final = 10_000
_STATE: Final = KIND_TO_CODE[EventKind.STATE]
_ORIGIN_INDEX: Final = bytes(
    {ORIGIN_TO_CODE[origin]: index for index, origin in enumerate(Origin)}.get(code, 0) for code in range(256)
)

_ACTS: Final = f"""
SELECT e.at + {EPOCH_US:d}, e.entity, e.origin, COALESCE(s.key, e.state), COALESCE(o.key, e.old_state)
FROM events AS e
{STATE_JOIN}
{OLD_STATE_JOIN}
WHERE e.entity IN (SELECT value FROM json_each(:entities)) AND e.at >= :start AND e.at < :end
  AND e.kind = :state
ORDER BY e.entity, e.at, e.id
"""
_SLOTS: Final = f"""
SELECT (at + {EPOCH_US:d}) / {SLOT_US:d} AS slot, COUNT(*) FROM events WHERE at >= :start AND at < :end
GROUP BY slot ORDER BY slot
"""
_OUTAGES: Final = f"""
SELECT at + {EPOCH_US:d} - held_us, at + {EPOCH_US:d} FROM events
WHERE at >= :start AND at < :end AND kind = :state AND held_us >= :least
  AND typeof(old_state) = 'integer' AND old_state = (SELECT id FROM texts WHERE key = 'unavailable')
"""
_ENTITY_COUNT: Final = """
SELECT COUNT(*) FROM entities AS n
WHERE EXISTS (SELECT 1 FROM events WHERE entity = n.id AND at >= :start AND at < :end)
"""


def read_acts(path: Path, start_us: int, end_us: int, domains: Sequence[str]) -> ActColumns:
    """Return the state changes of all entities of some domains in [start_us, end_us), and the home's signs of life.

    Reads one snapshot, read-only, and blocks meanwhile: for a child process or a thread. Raises StoreError if the file
    cannot be read or holds no store.
    """
    with reading(path) as connection:
        wanted = frozenset(domains)
        names = {
            row_id: key
            for row_id, key in connection.execute("SELECT id, key FROM entities ORDER BY id")
            if key.partition(".")[0] in wanted
        }
        values = {
            "start": to_column(start_us),
            "end": to_column(end_us),
            "state": _STATE,
            "least": _OUTAGE_US,
            "entities": f"[{','.join(map(str, names))}]",
        }
        acts = _read_states(connection.execute(_ACTS, values), {row_id: i for i, row_id in enumerate(names)})
        slots, slot_events = _read_pairs(connection.execute(_SLOTS, values))
        starts, ends = _read_pairs(connection.execute(_OUTAGES, values))
        (entity_count,) = connection.execute(_ENTITY_COUNT, values).fetchone()
    time_us, entity, state, old_state, origin, states = acts
    return ActColumns(
        start_us=start_us,
        end_us=end_us,
        time_us=time_us,
        entity=entity,
        state=state,
        old_state=old_state,
        origin=origin,
        entities=tuple(names.values()),
        states=states,
        slots=slots,
        slot_events=slot_events,
        outage_start_us=starts,
        outage_end_us=ends,
        entity_count=entity_count,
    )


def _read_states(
    rows: sqlite3.Cursor, entity_index: dict[int, int]
) -> tuple[array[int], array[int], array[int], array[int], array[int], tuple[str, ...]]:
    time_us, entity, state, old_state = array("q"), array("i"), array("i"), array("i")
    origin = bytearray()
    texts: dict[str | None, int] = {None: -1}

    def index_of(text: str | None) -> int:
        return texts.setdefault(text, len(texts) - 1)

    for batch in batched(rows, _BATCH, strict=False):
        times, entities, origins, states, old_states = zip(*batch, strict=True)
        time_us.extend(times)
        entity.extend(map(entity_index.__getitem__, entities))
        origin.extend(origins)
        state.extend(map(index_of, states))
        old_state.extend(map(index_of, old_states))
    known = tuple(text for text in texts if text is not None)
    return time_us, entity, state, old_state, array("b", bytes(origin.translate(_ORIGIN_INDEX))), known


def _read_pairs(rows: sqlite3.Cursor) -> tuple[array[int], array[int]]:
    first, second = array("q"), array("q")
    for one, two in rows:
        first.append(one)
        second.append(two)
    return first, second
