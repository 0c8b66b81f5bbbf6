"""Make a store of millions of events out of one of a hundred thousand, in a process of its own.

Copies follow each other in time and are inserted in that order with all indexes in place, so that pages are as full
as in a store that grew. Each copy has payload rows and context ids of its own, as if no attributes came again.
Job: {path, events}; answer: {events, seconds, span_us, bytes}.
"""

from contextlib import closing
import json
from pathlib import Path
import sqlite3
import sys
import time
from typing import Final

if not __package__:  # Run by path.
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from _bench.common import Json

_PRAGMAS: Final = ("synchronous = OFF", "cache_size = -524288", "wal_autocheckpoint = 16384")
_PAYLOADS: Final = """
INSERT INTO payloads (id, hash, key)
SELECT id + :payload, random(), key FROM payloads WHERE id <= :payloads ORDER BY id
"""
_EVENTS: Final = """
INSERT INTO events
SELECT id + :id, at + :shift, kind, origin, entity, state, old_state, held_us, payload + :payload, name,
       CASE typeof(context) WHEN 'blob' THEN randomblob(length(context)) ELSE context END,
       CASE typeof(parent) WHEN 'blob' THEN randomblob(length(parent)) ELSE parent END,
       user, responsible, facts
FROM events WHERE id <= :ids AND entity IS NOT NULL ORDER BY id LIMIT :count
"""


def multiply(path: Path, events: int) -> Json:
    """Bring the store to so many events."""
    before = time.perf_counter()
    with closing(sqlite3.connect(path, autocommit=True)) as connection:
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")
        count, first, last, ids = connection.execute(
            "SELECT COUNT(*), MIN(at), MAX(at), (SELECT MAX(id) FROM events) FROM events WHERE entity IS NOT NULL"
        ).fetchone()
        (payloads,) = connection.execute("SELECT COALESCE(MAX(id), 0) FROM payloads").fetchone()
        copies = -(-events // count)
        for copy in range(1, copies):
            values = {
                "id": copy * ids,
                "ids": ids,
                "shift": copy * (last - first + 1),
                "payload": copy * payloads,
                "payloads": payloads,
                "count": min(count, events - copy * count),
            }
            connection.execute("BEGIN")
            connection.execute(_PAYLOADS, values)
            connection.execute(_EVENTS, values)
            connection.execute("COMMIT")
        connection.execute("UPDATE counters SET value = (SELECT COUNT(*) FROM events) WHERE name = 'stored'")
        connection.execute("UPDATE meta SET value = (SELECT MAX(id) FROM events) WHERE name = 'last_row_id'")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (held,) = connection.execute("SELECT COUNT(*) FROM events").fetchone()
    return {
        "events": held,
        "seconds": time.perf_counter() - before,
        "span_us": (last - first + 1) * copies,
        "bytes": path.stat().st_size,
    }


def main() -> int:
    """Multiply and print."""
    job = json.loads(sys.argv[1])
    sys.stdout.write(f"{json.dumps(multiply(Path(job['path']), job['events']))}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
