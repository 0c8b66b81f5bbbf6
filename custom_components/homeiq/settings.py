"""Read the entry's options into the engine's settings."""

from collections.abc import Mapping
from typing import Any

from .const import (
    CONF_AREAS,
    CONF_ATTRIBUTE_EVENTS,
    CONF_DEVICE_CLASSES,
    CONF_DOMAINS,
    CONF_EXCLUDE,
    CONF_GLOBS,
    CONF_INCLUDE,
    CONF_INTEGRATIONS,
    CONF_LABELS,
    CONF_POSITIONS,
    CONF_RETENTION_DAYS,
    DEFAULT_RETENTION_DAYS,
    DOMAIN,
)
from .engine.pipeline import FilterSettings, Rules


def filter_settings(options: Mapping[str, Any]) -> FilterSettings:
    """Return what is kept by the entry's options; without options all but positions and own entities."""
    return FilterSettings(
        include=rules(options.get(CONF_INCLUDE) or {}),
        exclude=rules(options.get(CONF_EXCLUDE) or {}),
        attribute_events=bool(options.get(CONF_ATTRIBUTE_EVENTS, False)),
        positions=bool(options.get(CONF_POSITIONS, False)),
        own_integration=DOMAIN,
    )


def retention_days(options: Mapping[str, Any]) -> int:
    """Return for how many days raw events are kept."""
    return int(options.get(CONF_RETENTION_DAYS, DEFAULT_RETENTION_DAYS))


def rules(data: Mapping[str, Any]) -> Rules:
    """Return one side of a filter."""
    return Rules(
        globs=tuple(data.get(CONF_GLOBS, ())),
        labels=tuple(data.get(CONF_LABELS, ())),
        areas=tuple(data.get(CONF_AREAS, ())),
        device_classes=tuple(data.get(CONF_DEVICE_CLASSES, ())),
        integrations=tuple(data.get(CONF_INTEGRATIONS, ())),
        domains=tuple(data.get(CONF_DOMAINS, ())),
    )
