"""Follow the store into an InfluxDB bucket: a cursor, an encoder for line protocol, and delivery that loses nothing."""

from ._delivery import check_connection
from ._encoding import Encoded, LineEncoder
from ._errors import InfluxError, Reason
from ._history import QueryLanguage, ReplicaHistory
from ._history_layers import LayeredHistory
from ._replica import Backoff, EventSource, Replica, ReplicaState, ReplicaStats
from ._settings import InfluxSettings

__all__ = [
    "Backoff",
    "Encoded",
    "EventSource",
    "InfluxError",
    "InfluxSettings",
    "LayeredHistory",
    "LineEncoder",
    "QueryLanguage",
    "Reason",
    "Replica",
    "ReplicaHistory",
    "ReplicaState",
    "ReplicaStats",
    "check_connection",
]
