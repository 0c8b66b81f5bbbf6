"""Keep every event in a local SQLite store, the truth that everything else reads."""

from ._columns import read_acts
from ._essentials import Essentials
from ._follower import MAX_DEAD_LETTERS, Follower, cursors
from ._integrity import remove_files, size as store_size
from ._migrations import SCHEMA_VERSION
from ._moving import begin_store, move_store
from ._reading import MAX_LIMIT
from ._rollup import RollUps
from ._store import Store, StoreStats

__all__ = [
    "MAX_DEAD_LETTERS",
    "MAX_LIMIT",
    "SCHEMA_VERSION",
    "Essentials",
    "Follower",
    "RollUps",
    "Store",
    "StoreStats",
    "begin_store",
    "cursors",
    "move_store",
    "read_acts",
    "remove_files",
    "store_size",
]
