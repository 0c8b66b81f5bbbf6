"""Put the engine and the adapters together for one config entry: the composition root."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from homeassistant.config_entries import ConfigEntry
from homeassistant.const import EVENT_HOMEASSISTANT_FINAL_WRITE
from homeassistant.core import CoreState, Event, HomeAssistant, callback

from .adapters.backfill import Backfill
from .adapters.bus import HassEventDecoder, async_listen
from .adapters.clock import SystemClock
from .adapters.log_records import async_listen_to_logs
from .adapters.registry import HassEntityFacts
from .care import StoreCare
from .const import CONF_BACKFILL, LOGGER
from .coordinator import FiguresCoordinator
from .engine.model import StoreError, StoreInUseError, StoreNewerError
from .engine.pipeline import Pipeline
from .engine.store import Store
from .learning import Learning
from .places import Places, settle
from .repairs import ISSUE_EVENTS_LOST, ISSUE_STORE_FAILING, async_set_issue
from .replicas import Replicas
from .settings import backup_content, filter_settings, retention_days

type HomeIQConfigEntry = ConfigEntry[HomeIQData]

_UNLOAD_S = 10.0
# Home Assistant gives the final-write stage 60 s.
_FINAL_WRITE_S = 45.0


@dataclass(slots=True, kw_only=True)
class HomeIQData:
    """Hold what runs for the config entry."""

    store: Store
    care: StoreCare
    pipeline: Pipeline
    backfill: Backfill
    learning: Learning
    coordinator: FiguresCoordinator
    replicas: Replicas
    stoppers: list[Callable[[], None]] = field(default_factory=list)
    backfill_task: asyncio.Task[None] | None = None
    applying: asyncio.Lock = field(default_factory=asyncio.Lock)
    ended: bool = False


async def async_start(hass: HomeAssistant, entry: HomeIQConfigEntry) -> HomeIQData:
    """Start to listen and to store.

    Raises StoreNewerError if a newer HomeIQ wrote the store and StoreInUseError if another one has it open. A store that
    cannot be opened now does not stop it: events wait in the buffer until it can.
    """
    clock = SystemClock()

    @callback
    def begun() -> None:
        hass.async_create_task(_async_restart_backfill(hass, entry, data), "homeiq back-fill again")

    @callback
    def set_aside(path: Path) -> None:
        care.salvager.async_damaged(path)

    places = Places.of(hass)
    settled = await hass.async_add_executor_job(settle, places, backup_content(entry.options))
    store = Store(
        settled.path,
        clock,
        on_set_aside=set_aside,
        on_begun=begun,
    )
    facts = HassEntityFacts(hass)

    @callback
    def changed() -> None:
        _async_changed(hass, data)

    @callback
    def stored() -> None:
        data.replicas.notify()

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

    replicas = Replicas(hass, entry, store)
    care = StoreCare(
        hass,
        places=places,
        settled=settled,
        store=store,
        pipeline=pipeline,
        options=lambda: entry.options,
        followers=replicas.async_followers,
        acknowledged=replicas.acknowledged,
    )
    data = HomeIQData(
        store=store,
        care=care,
        pipeline=pipeline,
        backfill=Backfill(hass, store, pipeline),
        learning=Learning(hass, store),
        coordinator=coordinator,
        replicas=replicas,
    )
    try:
        await store.open()
    except StoreNewerError, StoreInUseError:
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

    data.stoppers.append(hass.bus.async_listen(EVENT_HOMEASSISTANT_FINAL_WRITE, final_write))
    # A coordinator rests while nobody listens, and midnight must come even if no entity is enabled.
    data.stoppers.append(coordinator.async_add_listener(lambda: None))
    _start_background(hass, entry, data)
    care.async_start()
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
        await data.replicas.async_apply()


def _start_background(hass: HomeAssistant, entry: HomeIQConfigEntry, data: HomeIQData) -> None:
    data.stoppers += data.replicas.async_start()
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


async def _async_end(data: HomeIQData, deadline_s: float) -> None:
    data.ended = True
    stoppers, data.stoppers = data.stoppers, []
    for stop in stoppers:
        stop()
    await data.pipeline.stop(deadline_s)
    # Before the replicas: while they end nothing may be deleted that they have not taken.
    await data.care.async_stop()
    await data.replicas.async_stop()
    await data.store.close()


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
