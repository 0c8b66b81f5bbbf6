"""Tell Home Assistant's system health page how HomeIQ is."""

from importlib.metadata import version
from typing import Any

from homeassistant.components.system_health import SystemHealthRegistration
from homeassistant.core import HomeAssistant, callback

from .const import DOMAIN
from .engine.store import SCHEMA_VERSION, damaged_files
from .runtime import HomeIQConfigEntry


@callback
def async_register(hass: HomeAssistant, register: SystemHealthRegistration) -> None:
    """Register the page's lines."""
    register.async_register_info(_async_info)


async def _async_info(hass: HomeAssistant) -> dict[str, Any]:
    """Return the lines; a word says why there is no figure."""
    entries: list[HomeIQConfigEntry] = hass.config_entries.async_loaded_entries(DOMAIN)
    if not entries:
        return {"store": "not_loaded"}
    data = entries[0].runtime_data
    figures = data.coordinator.data
    store = figures.store
    return {
        "store": figures.pipeline.failing or "ok",
        "schema": SCHEMA_VERSION,
        "events": None if store is None else store.events,
        "store_size": None if store is None else f"{store.size_bytes / 1_000_000:.1f} MB",
        "size_cap": f"{await data.care.async_size_cap() / 1_000_000:.1f} MB",
        "backup_content": data.care.content.value,
        "set_aside": len(await hass.async_add_executor_job(damaged_files, data.store.path)),
        "lost": figures.lost,
        "buffer": f"{figures.pipeline.buffer_depth} / {figures.pipeline.buffer_limit}",
        "engine": await hass.async_add_executor_job(_engine),
        "backfill": data.backfill.progress.state,
        "replicas": len(data.replicas),
    }


def _engine() -> str:
    return f"numpy {version('numpy')}"
