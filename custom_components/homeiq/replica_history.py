"""Choose where a question about the past is answered: by the store, by a replica, or by both as one history."""

from enum import StrEnum

from homeassistant.core import callback

from .engine.ports import HistoryReader
from .engine.replica import InfluxSettings, LayeredHistory, Layout, ReplicaHistory
from .replica_settings import influx_settings
from .runtime import HomeIQData
from .service_fields import error


class HistorySource(StrEnum):
    """Name what may answer; ``all`` is the store and, for what is older, the replica."""

    STORE = "store"
    REPLICA = "replica"
    ALL = "all"


@callback
def async_history(data: HomeIQData, source: HistorySource) -> HistoryReader:
    """Return what answers; raises ServiceValidationError where a replica is asked for and none can give events back.

    Of several replicas the one that was added first answers.
    """
    if source is HistorySource.STORE:
        return data.store
    for subentry in data.replicas.subentries.values():
        settings = influx_settings(subentry.data)
        if _gives_back(settings):
            replica = ReplicaHistory(settings)
            return replica if source is HistorySource.REPLICA else LayeredHistory(data.store, replica)
    raise error("no_replica_to_read")


def _gives_back(settings: InfluxSettings) -> bool:
    """Return whether a replica holds all of an event."""
    return settings.layout is Layout.LEAN and not settings.metrics_only
