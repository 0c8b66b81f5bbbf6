"""Keep every event in a local SQLite store, the truth that everything else reads."""

from ._columns import read_acts
from ._follower import MAX_DEAD_LETTERS, Follower, cursors
from ._integrity import remove_files
from ._migrations import SCHEMA_VERSION
from ._reading import MAX_LIMIT
from ._retention import Retention, RetentionPolicy, RetentionReport, default_cap
from ._rollup import RollUps
from ._store import Store, StoreStats

__all__ = [
    "MAX_DEAD_LETTERS",
    "MAX_LIMIT",
    "SCHEMA_VERSION",
    "Follower",
    "Retention",
    "RetentionPolicy",
    "RetentionReport",
    "RollUps",
    "Store",
    "StoreStats",
    "cursors",
    "default_cap",
    "read_acts",
    "remove_files",
]
