"""Offer HomeIQ's services; each checks its input wholly before it does anything."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
import json
from typing import Any, Final

from homeassistant.core import HomeAssistant, ServiceCall, ServiceResponse, SupportsResponse, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.service import async_register_admin_service
from homeassistant.util.json import JsonValueType

from .const import DOMAIN, MAX_RETENTION_DAYS
from .engine.model import MAX_LIMIT, EngineError, Event, EventKind, EventQuery, Origin, QueryError, StoreError
from .replica_history import HistorySource, async_history
from .replica_services import (
    list_dead_letters,
    pause_replica,
    purge_dead_letters,
    read_letters,
    read_purge_letters,
    read_replica,
    read_resend,
    replica_report,
    resend,
    resume_replica,
    retry_dead_letters,
)
from .runtime import HomeIQConfigEntry, HomeIQData
from .service_fields import Fields, bad_value, error, schema
from .store_services import (
    export_data,
    import_data,
    query_rollups,
    read_export,
    read_path,
    read_rollup_query,
    restore_data,
)
from .times import DAY_US, iso, now_us

SERVICE_QUERY_EVENTS: Final = "query_events"
SERVICE_STATS: Final = "stats"
SERVICE_FLUSH: Final = "flush"
SERVICE_PURGE: Final = "purge"
SERVICE_PURGE_ENTITY: Final = "purge_entity"
SERVICE_GENERATE_SUGGESTIONS: Final = "generate_suggestions"
SERVICE_VALIDATE_AUTOMATION: Final = "validate_automation"
SERVICE_EXPORT_DATA: Final = "export_data"
SERVICE_IMPORT_DATA: Final = "import_data"
SERVICE_RESTORE: Final = "restore"
SERVICE_QUERY_ROLLUPS: Final = "query_rollups"
SERVICE_PAUSE_REPLICA: Final = "pause_replica"
SERVICE_RESUME_REPLICA: Final = "resume_replica"
SERVICE_RESEND: Final = "resend"
SERVICE_LIST_DEAD_LETTERS: Final = "list_dead_letters"
SERVICE_RETRY_DEAD_LETTERS: Final = "retry_dead_letters"
SERVICE_PURGE_DEAD_LETTERS: Final = "purge_dead_letters"

type Run = Callable[[HomeIQData, Mapping[str, Any]], Awaitable[ServiceResponse]]

_DEFAULT_LIMIT: Final = 100
# What the store has counted all its life.
_COUNTERS: Final = ("stored", "lost", "duplicates", "filtered", "attribute_only", "logs_lost")
_MAX_TEXT: Final = 1_000_000


@callback
def async_setup_services(hass: HomeAssistant) -> None:
    """Register all services; they are there once, also while no entry is loaded."""
    for name, service in _SERVICES.items():
        fields_schema = schema(service.fields, service.read)
        handler = partial(_handle, hass, service.run)
        # All for administrators: events, servers' addresses and entity names are not everybody's business.
        async_register_admin_service(hass, DOMAIN, name, handler, fields_schema, service.response)


async def _handle(hass: HomeAssistant, run: Run, call: ServiceCall) -> ServiceResponse:
    """Run a service on the loaded entry's data; every error of the engine becomes a translated one."""
    entries: list[HomeIQConfigEntry] = hass.config_entries.async_loaded_entries(DOMAIN)
    if not entries:
        raise error("not_loaded")
    try:
        return await run(entries[0].runtime_data, call.data)
    except QueryError as err:
        raise bad_value(err.placeholders["field"], err.placeholders["value"]) from err
    except EngineError as err:
        raise HomeAssistantError(
            translation_domain=DOMAIN,
            translation_key=f"{err.code}_failed",
            translation_placeholders={"error": str(err), **err.placeholders},
        ) from err


async def _query_events(data: HomeIQData, fields: Mapping[str, Any]) -> ServiceResponse:
    await data.pipeline.flush()
    source: HistorySource = fields["source"]
    query = EventQuery(**{name: value for name, value in fields.items() if name != "source"})
    page = await async_history(data, source).query(query)
    # In a thread: 10,000 events take a tenth of a second.
    events = await asyncio.to_thread(_events, page.events)
    return {"events": events, "next_cursor": page.next_cursor}


async def _flush(data: HomeIQData, fields: Mapping[str, Any]) -> ServiceResponse:
    stored = await data.pipeline.flush()
    return {"stored": stored, "buffer_depth": data.pipeline.depth}


async def _purge(data: HomeIQData, fields: Mapping[str, Any]) -> ServiceResponse:
    now = now_us()
    await data.pipeline.flush()
    keep_days: int = fields["keep_days"]
    if keep_days:
        deleted = await data.care.maintenance.async_purge_before(now - keep_days * DAY_US)
    else:
        # All, also of today, though roll-ups of today then say nothing of it.
        await data.care.maintenance.async_roll_up()
        deleted = await data.store.purge_before(now)
    await data.coordinator.async_recount()
    return {"deleted": deleted}


async def _purge_entity(data: HomeIQData, fields: Mapping[str, Any]) -> ServiceResponse:
    entity_id: str = fields["entity_id"]
    # What waits in memory may name the entity too.
    await data.pipeline.flush()
    await data.backfill.async_forget(entity_id)
    events, payloads = await data.store.purge_entity(entity_id)
    await data.care.maintenance.async_forget_extract()
    # The noisiest entity may have been this one.
    await data.coordinator.async_recount()
    # All at once: a server that is away must not keep the others from forgetting. Calling again repeats all.
    answers = await asyncio.gather(
        *(replica.purge_entity(entity_id) for replica in data.replicas.values()), return_exceptions=True
    )
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
    return {"events": events, "payloads": payloads}


async def _generate_suggestions(data: HomeIQData, fields: Mapping[str, Any]) -> ServiceResponse:
    await data.pipeline.flush()
    return await data.learning.async_suggest(**fields)


async def _validate_automation(data: HomeIQData, fields: Mapping[str, Any]) -> ServiceResponse:
    return await data.learning.async_validate(fields["text"])


def _read_query(fields: Fields) -> Mapping[str, Any]:
    start_us, end_us = fields.time_range_us("start", "end")
    return {
        "entity_ids": fields.entity_ids("entity_id"),
        "start_us": start_us,
        "end_us": end_us,
        "kinds": fields.members("kinds", EventKind),
        "origins": fields.members("origins", Origin),
        "limit": fields.number("limit", 1, MAX_LIMIT, _DEFAULT_LIMIT),
        "newest_first": fields.flag("newest_first"),
        "cursor": fields.text("cursor"),
        "source": fields.member("source", HistorySource.STORE),
    }


def _read_nothing(fields: Fields) -> Mapping[str, Any]:
    return {}


def _read_purge(fields: Fields) -> Mapping[str, Any]:
    return {"keep_days": fields.number("keep_days", 0, MAX_RETENTION_DAYS)}


def _read_purge_entity(fields: Fields) -> Mapping[str, Any]:
    return {"entity_id": fields.entity_id("entity_id")}


def _read_suggest(fields: Fields) -> Mapping[str, Any]:
    return {
        "days": fields.number("days", 1, 365, 30),
        "entity_ids": fields.entity_ids("entity_id"),
        "limit": fields.number("limit", 1, 100, 20),
    }


def _read_validate(fields: Fields) -> Mapping[str, Any]:
    return {"text": fields.required_text("text", _MAX_TEXT)}


async def _stats(data: HomeIQData, fields: Mapping[str, Any]) -> ServiceResponse:
    pipeline = data.pipeline.stats()
    try:
        store, reason = await data.store.stats(), None
    except StoreError as err:
        # What waits in memory is of most interest just then.
        store, reason = None, err.placeholders["reason"]
    replicas: dict[str, Any] = {}
    # A copy: while one is asked, another may be added or removed.
    for subentry_id, replica in list(data.replicas.items()):
        figures = replica.stats if store is None else await replica.fresh_stats()
        known = data.replicas.subentries.get(subentry_id)
        replicas[subentry_id] = {
            "title": None if known is None else known.title,
            **replica_report(figures),
            "last_error": figures.last_error,
        }
    counters: Mapping[str, int | None] = (
        dict.fromkeys(_COUNTERS) if store is None else {name: store.counters.get(name, 0) for name in _COUNTERS}
    )
    lost_before = counters["lost"]
    return {
        **counters,
        "held": None if store is None else store.events,
        "lost": pipeline.lost if lost_before is None else lost_before + pipeline.lost_uncounted,
        "received": pipeline.received,
        "buffer_depth": pipeline.buffer_depth,
        "failing": pipeline.failing or reason,
        "write_p95_ms": pipeline.write_p95_ms,
        "store_bytes": None if store is None else store.size_bytes,
        "oldest": None if store is None else iso(store.oldest_us),
        "newest": None if store is None else iso(store.newest_us),
        "replicas": replicas,
        "backfill": {"state": data.backfill.progress.state, "events": data.backfill.progress.events},
    }


def _events(events: Iterable[Event]) -> list[JsonValueType]:
    return [_event(event) for event in events]


def _event(event: Event) -> dict[str, Any]:
    facts = event.facts
    return {
        "id": event.id,
        "time": iso(event.time_us),
        "kind": event.kind.value,
        "origin": event.origin.value,
        "responsible": event.responsible,
        "entity_id": event.entity_id,
        "state": event.state,
        "old_state": event.old_state,
        "value": event.value,
        "held_s": None if event.held_us is None else event.held_us / 1_000_000,
        "name": event.name,
        "data": None if event.payload is None else json.loads(event.payload),
        "area_id": facts.area_id,
        "floor_id": facts.floor_id,
        "device_id": facts.device_id,
        "integration": facts.integration,
        "device_class": facts.device_class,
        "unit": facts.unit,
        "labels": list(facts.labels),
        "context_id": event.context_id,
        "parent_id": event.parent_id,
        "user_id": event.user_id,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Service:
    """Describe a service: the fields it knows, how they are read, what it does, whether it answers always."""

    run: Run
    fields: tuple[str, ...] = ()
    read: Callable[[Fields], Mapping[str, Any]] = _read_nothing
    response: SupportsResponse = SupportsResponse.OPTIONAL


_SERVICES: Final[Mapping[str, _Service]] = {
    SERVICE_QUERY_EVENTS: _Service(
        run=_query_events,
        fields=("entity_id", "start", "end", "kinds", "origins", "limit", "newest_first", "cursor", "source"),
        read=_read_query,
        response=SupportsResponse.ONLY,
    ),
    SERVICE_STATS: _Service(run=_stats, response=SupportsResponse.ONLY),
    SERVICE_FLUSH: _Service(run=_flush),
    SERVICE_PURGE: _Service(run=_purge, fields=("keep_days",), read=_read_purge),
    SERVICE_PURGE_ENTITY: _Service(run=_purge_entity, fields=("entity_id",), read=_read_purge_entity),
    SERVICE_GENERATE_SUGGESTIONS: _Service(
        run=_generate_suggestions,
        fields=("days", "entity_id", "limit"),
        read=_read_suggest,
        response=SupportsResponse.ONLY,
    ),
    SERVICE_VALIDATE_AUTOMATION: _Service(
        run=_validate_automation, fields=("text",), read=_read_validate, response=SupportsResponse.ONLY
    ),
    SERVICE_EXPORT_DATA: _Service(run=export_data, fields=("path", "start", "end", "form"), read=read_export),
    SERVICE_IMPORT_DATA: _Service(run=import_data, fields=("path",), read=read_path),
    SERVICE_RESTORE: _Service(run=restore_data, fields=("path",), read=read_path),
    SERVICE_QUERY_ROLLUPS: _Service(
        run=query_rollups,
        fields=("entity_id", "start", "end", "span", "limit"),
        read=read_rollup_query,
        response=SupportsResponse.ONLY,
    ),
    SERVICE_PAUSE_REPLICA: _Service(run=pause_replica, fields=("replica",), read=read_replica),
    SERVICE_RESUME_REPLICA: _Service(run=resume_replica, fields=("replica",), read=read_replica),
    SERVICE_RESEND: _Service(run=resend, fields=("replica", "start", "end"), read=read_resend),
    SERVICE_LIST_DEAD_LETTERS: _Service(
        run=list_dead_letters,
        fields=("replica", "after", "limit"),
        read=read_letters,
        response=SupportsResponse.ONLY,
    ),
    SERVICE_RETRY_DEAD_LETTERS: _Service(run=retry_dead_letters, fields=("replica",), read=read_replica),
    SERVICE_PURGE_DEAD_LETTERS: _Service(run=purge_dead_letters, fields=("replica", "ids"), read=read_purge_letters),
}
