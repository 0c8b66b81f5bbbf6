"""Define the values that every room of the engine speaks: events, habits, drafts, verdicts, suggestions, errors."""

from ._automation import Draft, Suggestion, SuggestionState
from ._columns import SLOT_US, ActColumns
from ._dead_letter import MAX_LETTER_BYTES, DeadLetter, kept_line
from ._errors import (
    BusyError,
    ChildError,
    DraftError,
    EngineError,
    QueryError,
    ReplicaError,
    StoreDamagedError,
    StoreError,
    StoreInUseError,
    StoreNewerError,
    TransferError,
)
from ._event import (
    NO_FACTS,
    TRUE_STATES,
    UNUSABLE_STATES,
    EntityFacts,
    Event,
    EventKind,
    Origin,
    RawEvent,
    decimal_value,
    numeric_value,
)
from ._habit import Evidence, Habit, HabitKind, MiningResult, Rejection
from ._json import Json, as_list, as_number, as_object, as_text, as_whole
from ._query import MAX_LIMIT, EventPage, EventQuery, bad_query, check_query
from ._rollup import RollUp, RollUpQuery, Span
from ._verdict import Finding, Level, Verdict

__all__ = [
    "MAX_LETTER_BYTES",
    "MAX_LIMIT",
    "NO_FACTS",
    "SLOT_US",
    "TRUE_STATES",
    "UNUSABLE_STATES",
    "ActColumns",
    "BusyError",
    "ChildError",
    "DeadLetter",
    "Draft",
    "DraftError",
    "EngineError",
    "EntityFacts",
    "Event",
    "EventKind",
    "EventPage",
    "EventQuery",
    "Evidence",
    "Finding",
    "Habit",
    "HabitKind",
    "Json",
    "Level",
    "MiningResult",
    "Origin",
    "QueryError",
    "RawEvent",
    "Rejection",
    "ReplicaError",
    "RollUp",
    "RollUpQuery",
    "Span",
    "StoreDamagedError",
    "StoreError",
    "StoreInUseError",
    "StoreNewerError",
    "Suggestion",
    "SuggestionState",
    "TransferError",
    "Verdict",
    "as_list",
    "as_number",
    "as_object",
    "as_text",
    "as_whole",
    "bad_query",
    "check_query",
    "decimal_value",
    "kept_line",
    "numeric_value",
]
