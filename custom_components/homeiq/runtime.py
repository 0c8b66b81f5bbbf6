"""Put the engine and the adapters together for one config entry: the composition root."""

import asyncio
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, field
from pathlib import Path

from homeassistant.config_entries import ConfigEntry, ConfigSubentry
from homeassistant.const import EVENT_HOMEASSISTANT_FINAL_WRITE
from homeassistant.core import CoreState, Event, HomeAssistant, callback
from homeassistant.helpers.event import async_track_time_change
from homeassistant.util import dt as dt_util

from .adapters.backfill import Backfill
from .adapters.bus import HassEventDecoder, async_listen
from .adapters.clock import SystemClock
from .adapters.log_records import async_listen_to_logs
from .adapters.registry import HassEntityFacts
from .const import CONF_BACKFILL, LOGGER, STORE_FILE, STORE_FOLDER, SUBENTRY_INFLUXDB
from .coordinator import FiguresCoordinator
from .engine.model import StoreError, StoreNewerError
from .engine.pipeline import Pipeline
from .engine.replica import Replica
from .engine.store import Follower, Store
from .learning import Learning
from .repairs import ISSUE_EVENTS_LOST, ISSUE_STORE_FAILING, async_report_damage, async_set_issue
from .settings import filter_settings, influx_place, influx_settings, retention_days

type HomeIQConfigEntry = ConfigEntry[HomeIQData]

_UNLOAD_S = 10.0
# Home Assistant gives the final-write stage 60 s.
_FINAL_WRITE_S = 45.0
_PURGE_HOUR, _PURGE_MINUTE = 4, 7


@dataclass(slots=True, kw_only=True)
class HomeIQData:
    """Hold what runs for the config entry."""

    store: Store
    pipeline: Pipeline
    backfill: Backfill
    learning: Learning
    coordinator: FiguresCoordinator
    replicas: dict[str, Replica] = field(default_factory=dict)
    stoppers: list[Callable[[], None]] = field(default_factory=list)
    known_subentries: dict[str, ConfigSubentry] = field(default_factory=dict)
    backfill_task: asyncio.Task[None] | None = None
    applying: asyncio.Lock = field(default_factory=asyncio.Lock)
    ended: bool = False


def store_path(hass: HomeAssistant) -> Path:
    """Return where the store's file is."""
    return Path(hass.config.path(STORE_FOLDER)) / STORE_FILE


def replica_name(subentry_id: str) -> str:
    """Return the name of a replica's cursor in the store."""
    return f"influxdb:{subentry_id}"


async def async_start(hass: HomeAssistant, entry: HomeIQConfigEntry) -> HomeIQData:
    """Start to listen and to store; raises StoreNewerError if a newer HomeIQ wrote the store.

    A store that cannot be opened now does not stop it: events wait in the buffer until it can.
    """
    clock = SystemClock()

    @callback
    def begun() -> None:
        hass.async_create_task(_async_restart_backfill(hass, entry, data), "homeiq back-fill again")

    store = Store(
        store_path(hass),
        clock,
        on_set_aside=lambda path: async_report_damage(hass, str(path)),
        on_begun=begun,
    )
    facts = HassEntityFacts(hass)

    @callback
    def changed() -> None:
        _async_changed(hass, data)

    @callback
    def stored() -> None:
        for replica in data.replicas.values():
            replica.notify()

    pipeline = Pipeline(
        sink=store,
        decoder=HassEventDecoder(),
        facts=facts,
        clock=clock,
        settings=filter_settings(entry.options),
        started=hass.state is CoreState.running,
        on_change=changed,
        on_stored=stored,
    )
    coordinator = FiguresCoordinator(hass, entry, store, pipeline)
    data = HomeIQData(
        store=store,
        pipeline=pipeline,
        backfill=Backfill(hass, store, pipeline),
        learning=Learning(hass, store),
        coordinator=coordinator,
    )
    try:
        await store.open()
    except StoreNewerError:
        await store.close()
        raise
    except StoreError as err:
        LOGGER.debug("The store cannot be opened yet: %s", err)
    # Own events (the final write among them) are offered before the handlers below run.
    data.stoppers += [
        facts.async_follow(),
        async_listen(hass, pipeline.buffer),
        async_listen_to_logs(pipeline.logs),
    ]
    pipeline.start()

    async def final_write(event: Event) -> None:
        await _async_end(data, _FINAL_WRITE_S)

    async def purge(now: object) -> None:
        await _async_purge_old(data, entry)

    data.stoppers += [
        hass.bus.async_listen(EVENT_HOMEASSISTANT_FINAL_WRITE, final_write),
        async_track_time_change(hass, purge, hour=_PURGE_HOUR, minute=_PURGE_MINUTE, second=0),
    ]
    # A coordinator rests while nobody listens, and midnight must come even if no entity is enabled.
    data.stoppers.append(coordinator.async_add_listener(lambda: None))
    _start_background(hass, entry, data)
    return data


async def async_stop(hass: HomeAssistant, data: HomeIQData) -> None:
    """Stop listening, commit what waits and close everything; what the pipeline complained of is over with it."""
    await _async_end(data, _UNLOAD_S)
    for issue in (ISSUE_STORE_FAILING, ISSUE_EVENTS_LOST):
        async_set_issue(hass, issue, active=False)


async def async_apply(hass: HomeAssistant, entry: HomeIQConfigEntry) -> None:
    """Apply changed options and subentries to what runs."""
    data = entry.runtime_data
    data.pipeline.use_settings(filter_settings(entry.options))
    # One at a time: stopping a replica takes a moment in which the next change may come.
    async with data.applying:
        await _async_apply_backfill(hass, entry, data)
        await _async_apply_replicas(hass, entry, data)


def _start_background(hass: HomeAssistant, entry: HomeIQConfigEntry, data: HomeIQData) -> None:
    for subentry in entry.subentries.values():
        _start_replica(hass, entry, data, subentry)
    if entry.data.get(CONF_BACKFILL, True):
        _start_backfill(hass, entry, data)
    else:
        data.backfill.progress.state = "off"


def _start_backfill(hass: HomeAssistant, entry: HomeIQConfigEntry, data: HomeIQData) -> None:
    data.backfill.progress.state = "waiting"

    async def run() -> None:
        await data.backfill.async_run(lambda: filter_settings(entry.options), lambda: retention_days(entry.options))
        if data.backfill.progress.events:
            await data.coordinator.async_recount()

    data.backfill_task = entry.async_create_background_task(hass, run(), "homeiq back-fill")


async def _async_restart_backfill(hass: HomeAssistant, entry: HomeIQConfigEntry, data: HomeIQData) -> None:
    """Read the recorder's past into a store that was begun while everything ran."""
    async with data.applying:
        if data.backfill_task is None or data.ended:
            return
        await _async_stop_backfill(data)
        _start_backfill(hass, entry, data)
    # What the figures were before went with the file.
    await data.coordinator.async_recount()


async def _async_stop_backfill(data: HomeIQData) -> None:
    if (task := data.backfill_task) is not None:
        task.cancel()
        await asyncio.wait([task])
        data.backfill_task = None


async def _async_apply_backfill(hass: HomeAssistant, entry: HomeIQConfigEntry, data: HomeIQData) -> None:
    if not entry.data.get(CONF_BACKFILL, True):
        await _async_stop_backfill(data)
        data.backfill.progress.state = "off"
    elif data.backfill.progress.state == "off" and not data.ended:
        _start_backfill(hass, entry, data)


def _start_replica(hass: HomeAssistant, entry: HomeIQConfigEntry, data: HomeIQData, subentry: ConfigSubentry) -> None:
    if subentry.subentry_type != SUBENTRY_INFLUXDB:
        return
    replica = Replica(
        source=Follower(data.store, replica_name(subentry.subentry_id)),
        settings=influx_settings(subentry.data),
        clock=SystemClock(),
        title=subentry.title,
    )
    data.replicas[subentry.subentry_id] = replica
    # A copy: Home Assistant changes its own in place, and a change could not be seen.
    data.known_subentries[subentry.subentry_id] = copy(subentry)
    entry.async_create_background_task(hass, replica.run(), f"homeiq replica {subentry.title}")


async def _async_apply_replicas(hass: HomeAssistant, entry: HomeIQConfigEntry, data: HomeIQData) -> None:
    for subentry_id, known in list(data.known_subentries.items()):
        current = entry.subentries.get(subentry_id)
        if current is None or current.data != known.data:
            del data.known_subentries[subentry_id]
            await data.replicas.pop(subentry_id).stop()
        else:
            data.known_subentries[subentry_id] = copy(current)
        if current is None or influx_place(current.data) != influx_place(known.data):
            # Another bucket begins with the oldest event.
            await _async_forget_cursor(data, subentry_id)
    for subentry_id, subentry in entry.subentries.items():
        if subentry_id not in data.known_subentries and not data.ended:
            _start_replica(hass, entry, data, subentry)


async def _async_forget_cursor(data: HomeIQData, subentry_id: str) -> None:
    try:
        await Follower(data.store, replica_name(subentry_id)).forget()
    except StoreError as err:
        LOGGER.warning("A replica's place in the store could not be reset: %s", err)


async def _async_end(data: HomeIQData, deadline_s: float) -> None:
    data.ended = True
    stoppers, data.stoppers = data.stoppers, []
    for stop in stoppers:
        stop()
    await data.pipeline.stop(deadline_s)
    replicas, data.replicas = data.replicas, {}
    for replica in replicas.values():
        await replica.stop()
    await data.store.close()


async def _async_purge_old(data: HomeIQData, entry: HomeIQConfigEntry) -> None:
    keep = retention_days(entry.options)
    before = round((dt_util.utcnow().timestamp() - keep * 86_400) * 1_000_000)
    try:
        deleted = await data.store.purge_before(before)
    except StoreError as err:
        LOGGER.warning("Events older than %d days could not be deleted: %s", keep, err)
    else:
        LOGGER.debug("Deleted %d events older than %d days", deleted, keep)


@callback
def _async_changed(hass: HomeAssistant, data: HomeIQData) -> None:
    """Show a change of the pipeline's health at once."""
    pipeline = data.pipeline
    failing = pipeline.failing
    async_set_issue(
        hass,
        ISSUE_STORE_FAILING,
        active=failing is not None,
        placeholders={"reason": failing or "", "path": str(data.store.path)},
    )
    async_set_issue(
        hass,
        ISSUE_EVENTS_LOST,
        active=pipeline.losing,
        placeholders={"limit": str(pipeline.buffer.limit)},
    )
    hass.async_create_task(data.coordinator.async_request_refresh(), "homeiq refresh")
