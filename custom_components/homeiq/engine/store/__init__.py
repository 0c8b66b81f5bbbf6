"""Keep every event in a local SQLite store, the truth that everything else reads."""

from ._columns import read_acts
from ._integrity import remove_files
from ._migrations import SCHEMA_VERSION
from ._store import Store, StoreStats

__all__ = ["SCHEMA_VERSION", "Store", "StoreStats", "read_acts", "remove_files"]
