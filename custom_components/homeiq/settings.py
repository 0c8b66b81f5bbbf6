"""Read the entry's options into the engine's settings."""

from collections.abc import Mapping
from typing import Any

from .const import (
    CONF_AREAS,
    CONF_ATTRIBUTE_EVENTS,
    CONF_BACKUP_CONTENT,
    CONF_DEVICE_CLASSES,
    CONF_DOMAINS,
    CONF_EXCLUDE,
    CONF_GLOBS,
    CONF_HOUR_DAYS,
    CONF_INCLUDE,
    CONF_INTEGRATIONS,
    CONF_LABELS,
    CONF_POSITIONS,
    CONF_RETENTION_DAYS,
    CONF_SIZE_CAP,
    DEFAULT_HOUR_DAYS,
    DEFAULT_RETENTION_DAYS,
    DOMAIN,
)
from .engine.pipeline import FilterSettings, Rules
from .engine.store import RetentionPolicy, default_cap
from .places import BackupContent, Places, free_bytes, store_bytes

_MIB = 1_048_576


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


def hour_days(options: Mapping[str, Any]) -> int:
    """Return for how many days hourly roll-ups are kept."""
    return int(options.get(CONF_HOUR_DAYS, DEFAULT_HOUR_DAYS))


def backup_content(options: Mapping[str, Any]) -> BackupContent:
    """Return what of the store the user wants in Home Assistant's backups."""
    return BackupContent(options.get(CONF_BACKUP_CONTENT, BackupContent.AUTO))


def size_cap(options: Mapping[str, Any], places: Places) -> int:
    """Return how many bytes the store may take, by default a share of the disk; runs in a thread."""
    if (chosen := options.get(CONF_SIZE_CAP)) is not None:
        return int(chosen) * _MIB
    # What the store takes itself counts as free: its growth must not lower its own cap.
    return default_cap(free_bytes(places) + store_bytes(places))


def retention_policy(options: Mapping[str, Any], places: Places) -> RetentionPolicy:
    """Return what is kept for how long and up to what size; runs in a thread."""
    return RetentionPolicy(
        raw_days=retention_days(options), hour_days=hour_days(options), max_bytes=size_cap(options, places)
    )


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
