"""Keep every event in a local SQLite store, the truth that everything else reads."""

from ._checkpoint_hold import LONGEST_HOLD_S, CheckpointHold
from ._columns import read_acts
from ._essentials import Essentials
from ._follower import MAX_DEAD_LETTERS, Follower, cursors
from ._forgotten import entity_hash, forget_entity, forgotten_entities
from ._full_check import full_check
from ._integrity import damaged_files, remove_files, size as store_size
from ._migrations import SCHEMA_VERSION
from ._moving import begin_store, move_store
from ._retention import Retention, RetentionPolicy, RetentionReport, default_cap
from ._rollup import RollUps
from ._salvage import SalvageReport, salvage
from ._store import Store, StoreStats
from ._transfer_export import ExportReport, content_hash, export_events
from ._transfer_files import ExportForm
from ._transfer_import import ImportReport, import_events
from ._transfer_restore import RestoreReport, restore

__all__ = [
    "LONGEST_HOLD_S",
    "MAX_DEAD_LETTERS",
    "SCHEMA_VERSION",
    "CheckpointHold",
    "Essentials",
    "ExportForm",
    "ExportReport",
    "Follower",
    "ImportReport",
    "RestoreReport",
    "Retention",
    "RetentionPolicy",
    "RetentionReport",
    "RollUps",
    "SalvageReport",
    "Store",
    "StoreStats",
    "begin_store",
    "content_hash",
    "cursors",
    "damaged_files",
    "default_cap",
    "entity_hash",
    "export_events",
    "forget_entity",
    "forgotten_entities",
    "full_check",
    "import_events",
    "move_store",
    "read_acts",
    "remove_files",
    "restore",
    "salvage",
    "store_size",
]
