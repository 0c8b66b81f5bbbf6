"""Make HomeIQ's replica of a store, without Home Assistant; the engine is loaded by whoever imports this."""

from _bench.common import Json
from _bench.engine import SystemClock
from homeiq_engine.replica import InfluxSettings, Layout, Replica
from homeiq_engine.store import Follower, Store


def make_settings(server: Json, layout: str) -> InfluxSettings:
    """Return the connection to the bucket."""
    return InfluxSettings(
        url=server["url"],
        org=server["org"],
        bucket=server["bucket"],
        token=server["token"],
        layout=Layout(layout),
    )


def make_replica(store: Store, settings: InfluxSettings, name: str) -> Replica:
    """Return a replica of this name, which follows the store from its first event on if it is new."""
    return Replica(Follower(store, name), settings, SystemClock(), title=name)
