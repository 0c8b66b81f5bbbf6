"""Follow the store into an InfluxDB bucket: a cursor, an encoder for line protocol, and delivery that loses nothing."""

from ._batch import Batch, Line
from ._breaker import Backoff, CircuitState
from ._detection import Server
from ._encoding import LineEncoder
from ._errors import InfluxError, Reason
from ._replica import Replica
from ._servers import check_connection, create_bucket, detect_server
from ._settings import InfluxSettings, Layout
from ._source import ReplicaSource
from ._stats import ReplicaState, ReplicaStats

__all__ = [
    "Backoff",
    "Batch",
    "CircuitState",
    "InfluxError",
    "InfluxSettings",
    "Layout",
    "Line",
    "LineEncoder",
    "Reason",
    "Replica",
    "ReplicaSource",
    "ReplicaState",
    "ReplicaStats",
    "Server",
    "check_connection",
    "create_bucket",
    "detect_server",
]
