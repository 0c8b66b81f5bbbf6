"""Compare what a store holds with what a server holds, event by event."""

from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
import sqlite3
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

if TYPE_CHECKING:
    from tests.servers.face_process import FaceProcess

# What the connection's own test and this bench have written.
_NO_EVENTS: Final = ("homeiq_check", "homeiq_probe")
# As the store keeps them, see _codes.py and _times.py of its room.
_STATE: Final = 0
_EPOCH_US: Final = 1_861_920_000_000_000

type Identity = tuple[int, str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Differences:
    """Count events: ``lost`` are in the store, neither on the server nor dead letters; ``duplicates`` only on the server."""

    events: int
    lost: int
    duplicates: int
    dead_letters: int
    dead_letters_wrong: int


def compare(
    path: Path, server: FaceProcess, bucket: str, last_row: int, refused: frozenset[str] = frozenset()
) -> Differences:
    """Compare events up to a row id by entity and microsecond, each as often as it is there.

    ``refused`` are the domains whose states the server refuses: exactly these must be dead letters. Attributes that
    change alone are in a measurement of their own.
    """
    with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as connection:
        rows = connection.execute(
            "SELECT e.id, e.at, e.kind, n.key FROM events AS e LEFT JOIN entities AS n ON n.id = e.entity WHERE e.id <= ?",
            (last_row,),
        ).fetchall()
        dead = {row[0] for row in connection.execute("SELECT event FROM dead_letters")}
    stored: Counter[Identity] = Counter(
        (at + _EPOCH_US, entity) for row_id, at, _, entity in rows if row_id not in dead
    )
    held: Counter[Identity] = Counter(
        (int(point["time"] or 0) // 1000, None if point.get("entity_id") is None else str(point["entity_id"]))
        for point in server.points(bucket)
        if point["measurement"] not in _NO_EVENTS and point.get("origin") is not None
    )
    refusable = {
        row_id
        for row_id, _, kind, entity in rows
        if kind == _STATE and entity is not None and entity.partition(".")[0] in refused
    }
    return Differences(
        events=len(rows),
        lost=(stored - held).total(),
        duplicates=(held - stored).total(),
        dead_letters=len(dead),
        dead_letters_wrong=len(dead ^ refusable),
    )
