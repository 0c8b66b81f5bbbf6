"""Take events in without holding anyone up, and hand them to the store in batches."""

from ._buffer import BUFFER_LIMIT, EventBuffer, LogBuffer
from ._enrich import Enricher
from ._filter import EventFilter, FilterSettings, Rules
from ._metrics import PipelineStats
from ._normalise import is_secret_name
from ._pipeline import Pipeline

__all__ = [
    "BUFFER_LIMIT",
    "Enricher",
    "EventBuffer",
    "EventFilter",
    "FilterSettings",
    "LogBuffer",
    "Pipeline",
    "PipelineStats",
    "Rules",
    "is_secret_name",
]
