"""Offer the options about the store's size and its place in backups, with the figures that one needs to choose."""

from collections.abc import Mapping
from typing import Any, Final

from homeassistant.core import HomeAssistant
from homeassistant.helpers import selector
import probatio as vol

from .const import (
    CONF_BACKUP_CONTENT,
    CONF_HOUR_DAYS,
    CONF_SIZE_CAP,
    DEFAULT_HOUR_DAYS,
    MAX_HOUR_DAYS,
    MAX_SIZE_CAP,
    MIN_SIZE_CAP,
)
from .form_fields import whole_number
from .places import BackupContent, Places, essentials_bytes, free_bytes, store_bytes
from .settings import size_cap

STORE_OPTIONS: Final[Mapping[vol.Marker, object]] = {
    vol.Required(CONF_HOUR_DAYS, default=DEFAULT_HOUR_DAYS): whole_number(1, MAX_HOUR_DAYS, "d"),
    # Left empty, it follows the disk.
    vol.Optional(CONF_SIZE_CAP): whole_number(MIN_SIZE_CAP, MAX_SIZE_CAP, "MiB"),
    vol.Required(CONF_BACKUP_CONTENT, default=BackupContent.AUTO.value): selector.SelectSelector(
        selector.SelectSelectorConfig(
            options=[content.value for content in BackupContent], translation_key=CONF_BACKUP_CONTENT
        )
    ),
}


async def async_store_figures(hass: HomeAssistant, options: Mapping[str, Any]) -> dict[str, str]:
    """Return what the options form shows: how large the store and its extract are, the cap, the free space."""
    return await hass.async_add_executor_job(_figures, Places.of(hass), dict(options))


def _figures(places: Places, options: Mapping[str, Any]) -> dict[str, str]:
    essentials = essentials_bytes(places)
    return {
        "store_size": megabytes(store_bytes(places)),
        "essentials_size": "-" if essentials is None else megabytes(essentials),
        "size_cap": megabytes(size_cap(options, places)),
        "free": megabytes(free_bytes(places)),
    }


def megabytes(size: int) -> str:
    """Return a size as people read it."""
    return f"{size / 1_000_000:,.1f} MB"
