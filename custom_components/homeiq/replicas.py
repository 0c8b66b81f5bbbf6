"""Run one replica for each InfluxDB subentry, and apply what changes of them: the replicas' composition."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from copy import copy
from typing import TYPE_CHECKING, override

from homeassistant.config_entries import ConfigSubentry
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback

from .adapters.clock import SystemClock
from .const import CONF_METRICS_ONLY, CONF_PAUSED, LOGGER, SUBENTRY_INFLUXDB
from .engine.model import StoreError
from .engine.replica import InfluxError, Replica, ReplicaState, Server, detect_server
from .engine.store import Follower, Store, cursors
from .reauth import ReauthQueue
from .replica_coordinator import ReplicaCoordinator
from .replica_issues import ReplicaIssues
from .replica_settings import begins_anew, influx_settings, replica_filter, replica_name, runs_on

if TYPE_CHECKING:
    from .runtime import HomeIQConfigEntry


class Replicas(Mapping[str, Replica]):
    """Hold the running replicas by their subentry's id, with what shows how they are.

    All methods run on the event loop.
    """

    def __init__(self, hass: HomeAssistant, entry: HomeIQConfigEntry, store: Store) -> None:
        """Take the entry whose subentries are followed, and what they follow."""
        self._hass = hass
        self._entry = entry
        self._store = store
        self._running: dict[str, Replica] = {}
        self._known: dict[str, ConfigSubentry] = {}
        self._detecting: dict[str, asyncio.Task[None]] = {}
        self._listeners: list[Callable[[ConfigSubentry], None]] = []
        self._ended = False
        self.coordinator = ReplicaCoordinator(hass, entry, lambda: self._running)
        self.issues = ReplicaIssues(hass, entry)
        self.reauth = ReauthQueue(hass, entry, self._refused)

    @override
    def __getitem__(self, subentry_id: str) -> Replica:
        """Return the replica of a subentry; raises KeyError."""
        return self._running[subentry_id]

    @override
    def __iter__(self) -> Iterator[str]:
        """Return the ids of the subentries that have a replica."""
        return iter(self._running)

    @override
    def __len__(self) -> int:
        """Return how many replicas run."""
        return len(self._running)

    @property
    def subentries(self) -> Mapping[str, ConfigSubentry]:
        """Return the subentries as they are applied, by their ids."""
        return self._known

    @callback
    def async_start(self) -> list[CALLBACK_TYPE]:
        """Start a replica for each subentry; return what stops the watching of them."""
        for subentry in self._entry.subentries.values():
            self._start(subentry)
        # A coordinator rests while nobody listens, and issues must come though every entity is disabled.
        return [self.coordinator.async_add_listener(self._async_watch)]

    async def async_apply(self) -> None:
        """Apply added, changed and removed subentries; never run two of these at a time."""
        for subentry_id, known in list(self._known.items()):
            current = self._entry.subentries.get(subentry_id)
            if current is None or not runs_on(known.data, current.data):
                await self._async_end(subentry_id)
            else:
                self._apply_live(known, current)
            if current is None:
                self.issues.async_forget(subentry_id)
            if current is None or begins_anew(known.data, current.data):
                await self._async_forget(subentry_id)
        for subentry_id, subentry in list(self._entry.subentries.items()):
            if subentry_id not in self._known and not self._ended:
                self._start(subentry)
        await self.coordinator.async_refresh()

    async def async_stop(self) -> None:
        """Stop all; what they complained of is over with them."""
        self._ended = self.reauth.closed = True
        await self.coordinator.async_shutdown()
        for subentry_id in list(self._running):
            await self._async_end(subentry_id)
            self.issues.async_forget(subentry_id)

    @callback
    def notify(self) -> None:
        """Tell all replicas that the store has new events."""
        for replica in self._running.values():
            replica.notify()

    @callback
    def try_again(self, subentry_id: str) -> None:
        """Let a replica that waits after a failure try again at once; a paused one stays paused."""
        known, replica = self._known.get(subentry_id), self._running.get(subentry_id)
        if replica is not None and known is not None and not known.data.get(CONF_PAUSED):
            replica.resume()

    @callback
    def async_keep_paused(self, subentry_id: str, *, paused: bool) -> None:
        """Remember in the subentry that a replica rests, so that it does after a restart too."""
        if (subentry := self._entry.subentries.get(subentry_id)) is not None:
            rest = {name: value for name, value in subentry.data.items() if name != CONF_PAUSED}
            self._hass.config_entries.async_update_subentry(
                self._entry, subentry, data={**rest, CONF_PAUSED: True} if paused else rest
            )

    @callback
    def async_listen(self, told: Callable[[ConfigSubentry], None]) -> CALLBACK_TYPE:
        """Tell of each subentry that has a replica, now and whenever one is added or gets another title."""
        self._listeners.append(told)
        for subentry in list(self._known.values()):
            told(subentry)
        return lambda: self._listeners.remove(told)

    async def acknowledged(self) -> Mapping[str, int]:
        """Return how far each follower that is a full copy has come, as row ids by its name; raises StoreError."""
        places = await cursors(self._store)
        return {name: places.get(name, 0) for name in self.async_followers()}

    @callback
    def async_followers(self) -> Mapping[str, str]:
        """Return the titles of the followers that are full copies, by their names in the store.

        By the subentries, not by what runs: between two runs of a replica nothing may be deleted that it lacks. A
        replica that keeps numbers only is no copy that retention may rely on.
        """
        return {
            replica_name(subentry_id): subentry.title
            for subentry_id, subentry in self._entry.subentries.items()
            if subentry.subentry_type == SUBENTRY_INFLUXDB
            and ((replica := self._running.get(subentry_id)) is None or replica.acknowledges)
        }

    def _start(self, subentry: ConfigSubentry) -> None:
        if subentry.subentry_type != SUBENTRY_INFLUXDB:
            return
        subentry_id = subentry.subentry_id
        replica = Replica(
            source=Follower(self._store, replica_name(subentry_id)),
            settings=influx_settings(subentry.data),
            clock=SystemClock(),
            title=subentry.title,
            keeps=replica_filter(subentry.data),
            on_change=self.coordinator.async_changed,
        )
        if subentry.data.get(CONF_PAUSED):
            replica.pause()
        self._running[subentry_id] = replica
        # A copy: Home Assistant changes its own in place, and a change could not be seen.
        self._known[subentry_id] = copy(subentry)
        self._entry.async_create_background_task(self._hass, replica.run(), f"homeiq replica {subentry.title}")
        self._tell(subentry)

    def _apply_live(self, known: ConfigSubentry, current: ConfigSubentry) -> None:
        """Apply what needs no new replica."""
        replica = self._running[known.subentry_id]
        self._known[known.subentry_id] = copy(current)
        if known.data.get(CONF_PAUSED) != current.data.get(CONF_PAUSED):
            (replica.pause if current.data.get(CONF_PAUSED) else replica.resume)()
        if known.data != current.data:
            replica.use_filter(replica_filter(current.data))
        if known.title != current.title:
            self._tell(current)

    def _tell(self, subentry: ConfigSubentry) -> None:
        for told in list(self._listeners):
            told(subentry)

    async def _async_end(self, subentry_id: str) -> None:
        self._known.pop(subentry_id, None)
        if (task := self._detecting.pop(subentry_id, None)) is not None:
            task.cancel()
        # Its next self may have another server.
        self.issues.numbers_only.discard(subentry_id)
        await self._running.pop(subentry_id).stop()

    async def _async_forget(self, subentry_id: str) -> None:
        """Forget how far a replica has come: another bucket begins with its own start point."""
        try:
            await Follower(self._store, replica_name(subentry_id)).forget()
        except StoreError as err:
            LOGGER.warning("A replica's place in the store could not be reset: %s", err)

    def _refused(self) -> set[str]:
        return {
            subentry_id
            for subentry_id, replica in self._running.items()
            if replica.stats.state is ReplicaState.UNAUTHORIZED
        }

    @callback
    def _async_watch(self) -> None:
        """Act on new figures: issues, reauthentication, and a look at servers that have just begun to answer."""
        figures = self.coordinator.data
        for subentry_id, stats in figures.items():
            if stats.state is ReplicaState.FOLLOWING and subentry_id not in self._detecting:
                self._detect(subentry_id)
        self.issues.async_update(figures)
        self.reauth.async_check()

    def _detect(self, subentry_id: str) -> None:
        """Find out, once for each replica, whether its server keeps numbers only though nobody has said so."""
        known = self._known.get(subentry_id)
        if known is None or known.data.get(CONF_METRICS_ONLY):
            return

        async def look(settings_of: ConfigSubentry) -> None:
            try:
                server = await detect_server(influx_settings(settings_of.data))
            except InfluxError as err:
                LOGGER.debug("The kind of a server cannot be told: %s", err)
                return
            if server is Server.VICTORIA_METRICS:
                self.issues.numbers_only.add(subentry_id)
                self.issues.async_update(self.coordinator.data)

        self._detecting[subentry_id] = self._entry.async_create_background_task(
            self._hass, look(known), f"homeiq server of {known.title}"
        )
