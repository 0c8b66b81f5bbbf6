"""Give a report that a person can attach to an issue without telling who they are."""

from typing import Any, Final

from homeassistant.components.diagnostics import async_redact_data
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant

from .engine.model import StoreError
from .replica_services import replica_report
from .runtime import HomeIQConfigEntry

_SECRET: Final = {"token", "url", "org", "bucket", "title", "unique_id", "home", "ca_pem"}
_NAMED: Final = {"areas", "labels", "globs"}


async def async_get_config_entry_diagnostics(hass: HomeAssistant, entry: HomeIQConfigEntry) -> dict[str, Any]:
    """Return settings and figures; tokens, addresses and what names a home's parts are left out."""
    report: dict[str, Any] = {
        "entry": {
            "state": entry.state.value,
            "data": dict(entry.data),
            "options": async_redact_data(dict(entry.options), _NAMED),
            "subentries": [
                async_redact_data({"type": subentry.subentry_type, **subentry.data}, _SECRET | _NAMED)
                for subentry in entry.subentries.values()
            ],
        }
    }
    if entry.state is not ConfigEntryState.LOADED:
        return report
    data = entry.runtime_data
    pipeline = data.pipeline.stats()
    store: dict[str, Any] | None = None
    try:
        figures = await data.store.stats()
        store = {
            "events": figures.events,
            "oldest_us": figures.oldest_us,
            "newest_us": figures.newest_us,
            "size_bytes": figures.size_bytes,
            "counters": dict(figures.counters),
            "set_aside": len(data.store.set_aside),
        }
    except StoreError as err:
        store = {"error": err.placeholders.get("reason", err.code)}
    return report | {
        "pipeline": {
            "received": pipeline.received,
            "stored": pipeline.stored,
            "lost": pipeline.lost,
            "filtered": pipeline.filtered,
            "attribute_only": pipeline.attribute_only,
            "logs_lost": pipeline.logs_lost,
            "buffer_depth": pipeline.buffer_depth,
            "buffer_limit": pipeline.buffer_limit,
            "per_minute": pipeline.per_minute,
            "write_p95_ms": pipeline.write_p95_ms,
            "failing": pipeline.failing,
        },
        "problems": list(data.coordinator.data.problems),
        "store": store,
        "care": data.care.as_json(),
        "backfill": {"state": data.backfill.progress.state, "events": data.backfill.progress.events},
        "replicas": [replica_report(stats) for stats in data.replicas.coordinator.data.values()],
    }
