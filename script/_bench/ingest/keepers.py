"""Set up what keeps events, and ask it the same questions: how many wait, are all durable, how many are in the file."""

import asyncio
from contextlib import closing
from pathlib import Path
import sqlite3
from typing import Final, Protocol, override
from urllib.parse import quote

from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import recorder as recorder_helper
from homeassistant.setup import async_setup_component

from _bench.common import BenchError

from .workload import PREFIX

DOMAIN: Final = "homeiq"


class Keeper(Protocol):
    """Keep events, or not."""

    path: Path | None

    async def set_up(self, hass: HomeAssistant) -> None:
        """Set up before the home starts."""

    def depth(self) -> int:
        """Return how many events wait to be kept."""

    async def settle(self) -> None:
        """Wait until everything that was sent is committed."""

    def count(self) -> int | None:
        """Return how many of the bench's events are in the file, read on a connection of its own."""


class NoKeeper(Keeper):
    """Be the home that keeps nothing."""

    path = None

    @override
    async def set_up(self, hass: HomeAssistant) -> None:
        return

    @override
    def depth(self) -> int:
        return 0

    @override
    async def settle(self) -> None:
        return

    @override
    def count(self) -> int | None:
        return None


class RecorderKeeper(Keeper):
    """Keep events by Home Assistant's recorder, as it is without configuration."""

    path: Path

    def __init__(self, folder: Path) -> None:
        """Know the file."""
        self.path = folder / "home-assistant_v2.db"

    @override
    async def set_up(self, hass: HomeAssistant) -> None:
        recorder_helper.async_initialize_recorder(hass)
        if not await async_setup_component(hass, "recorder", {"recorder": {}}):
            raise BenchError("the recorder could not be set up")
        self._instance = recorder_helper.get_instance(hass)

    @override
    def depth(self) -> int:
        return self._instance.backlog

    @override
    async def settle(self) -> None:
        await self._instance.async_recorder_ready.wait()
        await self._instance.async_block_till_done()

    @override
    def count(self) -> int | None:
        return _count(
            self.path,
            "SELECT COUNT(*) FROM states AS s JOIN states_meta AS m ON m.metadata_id = s.metadata_id"
            " WHERE m.entity_id LIKE ?",
        )


class HomeIQKeeper(Keeper):
    """Keep events by HomeIQ, set up through its flows.

    Attribute events are switched on, because the recorder keeps them too: both keep every event that is sent.
    """

    path: Path

    def __init__(self, folder: Path) -> None:
        """Know the file."""
        self.path = folder / "homeiq" / "homeiq.db"

    @override
    async def set_up(self, hass: HomeAssistant) -> None:
        flow = await hass.config_entries.flow.async_init(DOMAIN, context={"source": "user"})
        created = await hass.config_entries.flow.async_configure(flow["flow_id"], {})
        if created["type"] is not FlowResultType.CREATE_ENTRY:
            raise BenchError(f"HomeIQ's config flow ended with {created['type']}")
        entry = hass.config_entries.async_entries(DOMAIN)[0]
        options = await hass.config_entries.options.async_init(entry.entry_id)
        await hass.config_entries.options.async_configure(options["flow_id"], {"attribute_events": True})
        await hass.async_block_till_done()
        if entry.state is not ConfigEntryState.LOADED:
            raise BenchError(f"HomeIQ is not loaded but {entry.state}: {entry.reason}")
        self._pipeline = entry.runtime_data.pipeline

    @override
    def depth(self) -> int:
        depth: int = self._pipeline.depth
        return depth

    @override
    async def settle(self) -> None:
        await self._pipeline.flush()
        if lost := self._pipeline.lost:
            raise BenchError(f"HomeIQ lost {lost} events")

    @override
    def count(self) -> int | None:
        return _count(
            self.path, "SELECT COUNT(*) FROM events AS e JOIN entities AS n ON n.id = e.entity WHERE n.key LIKE ?"
        )


def keeper_of(variant: str, folder: Path) -> Keeper:
    """Return the keeper of a variant on a configuration folder."""
    match variant:
        case "recorder":
            return RecorderKeeper(folder)
        case "homeiq":
            return HomeIQKeeper(folder)
        case _:
            return NoKeeper()


async def stored(keeper: Keeper) -> int | None:
    """Return how many of the bench's events are in the file, without holding up the loop."""
    return await asyncio.to_thread(keeper.count)


def held_bytes(path: Path | None) -> int:
    """Return the size of a database that is in use, what stands in the WAL included."""
    if path is None:
        return 0
    with closing(_reader(path)) as connection:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
        return int(pages) * int(size)


def closed_bytes(path: Path | None) -> int:
    """Return the bytes of a database's files after its program has closed it and the WAL was written back."""
    if path is None:
        return 0
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return sum(file.stat().st_size for file in (path, path.with_name(f"{path.name}-wal")) if file.exists())


def _count(path: Path, sql: str) -> int:
    with closing(_reader(path)) as connection:
        (count,) = connection.execute(sql, (f"%.{PREFIX}_%",)).fetchone()
        return int(count)


def _reader(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)
