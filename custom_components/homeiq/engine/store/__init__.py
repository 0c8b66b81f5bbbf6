"""Keep every event in a local SQLite store, the truth that everything else reads."""

from ._columns import read_acts
from ._integrity import remove_files
from ._migrations import SCHEMA_VERSION
from ._reading import MAX_LIMIT
from ._retention import Retention, RetentionPolicy, RetentionReport, default_cap
from ._rollup import RollUps
from ._store import Store, StoreStats

__all__ = [
    "MAX_LIMIT",
    "SCHEMA_VERSION",
    "Retention",
    "RetentionPolicy",
    "RetentionReport",
    "RollUps",
    "Store",
    "StoreStats",
    "default_cap",
    "read_acts",
    "remove_files",
]
