"""Read an InfluxDB subentry's data into the engine's settings, and say what a change of it means."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final

from .const import (
    CONF_BEGUN_US,
    CONF_BUCKET,
    CONF_CA,
    CONF_EXCLUDE,
    CONF_HOME,
    CONF_INCLUDE,
    CONF_LAYOUT,
    CONF_METRICS_ONLY,
    CONF_ORG,
    CONF_PAUSED,
    CONF_SINCE_US,
    CONF_VERIFY_READS,
)
from .engine.model import EntityFacts, Event
from .engine.pipeline import EventFilter, FilterSettings
from .engine.replica import InfluxSettings, Layout
from .settings import rules

_ANSWERS: Final = 50_000
# What is changed while the replica runs on.
_LIVE: Final = frozenset({CONF_INCLUDE, CONF_EXCLUDE, CONF_PAUSED})


def replica_name(subentry_id: str) -> str:
    """Return the name under which the store keeps a replica's cursor and dead letters."""
    return f"influxdb:{subentry_id}"


def influx_settings(data: Mapping[str, Any]) -> InfluxSettings:
    """Return the connection of an InfluxDB subentry; one of the first version names its place only."""
    return InfluxSettings(
        url=data["url"],
        org=data[CONF_ORG],
        bucket=data[CONF_BUCKET],
        token=data["token"],
        verify_ssl=data.get("verify_ssl", True),
        ca_pem=data.get(CONF_CA, ""),
        layout=Layout(data.get(CONF_LAYOUT, Layout.LEAN)),
        home=data.get(CONF_HOME, ""),
        since_us=data.get(CONF_SINCE_US),
        metrics_only=data.get(CONF_METRICS_ONLY, False),
        verify_reads=data.get(CONF_VERIFY_READS, False),
    )


def influx_place(data: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return what tells one bucket from another."""
    return data["url"], data[CONF_ORG], data[CONF_BUCKET]


def begins_anew(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Return whether a change makes the replica start over: another bucket, or a start point chosen again."""
    return influx_place(before) != influx_place(after) or before.get(CONF_BEGUN_US) != after.get(CONF_BEGUN_US)


def runs_on(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Return whether a change is applied to the running replica, which a resend under way survives."""
    return all(before.get(name) == after.get(name) for name in (before.keys() | after.keys()) - _LIVE)


def replica_filter(data: Mapping[str, Any]) -> Callable[[Event], bool]:
    """Return what decides which stored events are sent; the facts are those that the event was stored with.

    What names no entity, such as a system event, is left out once anything is included. Called in worker threads.
    """
    # Positions were decided on when the event was stored.
    settings = FilterSettings(
        include=rules(data.get(CONF_INCLUDE) or {}), exclude=rules(data.get(CONF_EXCLUDE) or {}), positions=True
    )
    if not settings.include and not settings.exclude:
        return _keep
    decide = EventFilter(settings).decide

    @lru_cache(maxsize=_ANSWERS)
    def answer(entity_id: str, facts: EntityFacts) -> bool:
        return decide(entity_id, facts)

    def keeps(event: Event) -> bool:
        return not settings.include if event.entity_id is None else answer(event.entity_id, event.facts)

    return keeps


def _keep(_event: Event) -> bool:
    """Keep all."""
    return True
