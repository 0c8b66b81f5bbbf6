"""Diagnostics and system health tell how HomeIQ is and not who lives there."""

import json
from typing import Any
from unittest.mock import patch

from custom_components.homeiq.const import DOMAIN
from custom_components.homeiq.engine.model import StoreError
from custom_components.homeiq.engine.store import SCHEMA_VERSION
from custom_components.homeiq.runtime import HomeIQConfigEntry, HomeIQData
from homeassistant.core import HomeAssistant
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import get_system_health_info
from pytest_homeassistant_custom_component.components.diagnostics import get_diagnostics_for_config_entry
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator
from syrupy.assertion import SnapshotAssertion
from syrupy.filters import props

from tests.ha.conftest import Flush
from tests.ha.connecting import connect

PRIVATE_RULES = {
    "globs": ["device_tracker.susan_*"],
    "areas": ["susans_room"],
    "labels": ["susans"],
    "domains": ["light"],
}


@pytest.fixture
async def diagnostics(hass: HomeAssistant, socket_enabled: None) -> None:
    """Set Home Assistant's diagnostics up."""
    assert await async_setup_component(hass, "diagnostics", {})


@pytest.mark.usefixtures("diagnostics")
async def test_diagnostics_are_as_recorded(
    hass: HomeAssistant,
    hass_client: ClientSessionGenerator,
    entry: HomeIQConfigEntry,
    flush: Flush,
    snapshot: SnapshotAssertion,
) -> None:
    hass.config_entries.async_update_entry(entry, options={**entry.options, "include": PRIVATE_RULES})
    await hass.async_block_till_done()
    for number in range(3):
        hass.states.async_set("light.kitchen", str(number), timestamp=1_790_000_000 + number)
    await flush()
    told = await get_diagnostics_for_config_entry(hass, hass_client, entry)
    assert told == snapshot(exclude=props("size_bytes", "write_p95_ms", "received", "filtered"))


@pytest.mark.usefixtures("diagnostics")
async def test_diagnostics_name_neither_people_nor_servers_nor_tokens(
    hass: HomeAssistant, hass_client: ClientSessionGenerator, entry: HomeIQConfigEntry, connection: dict[str, Any]
) -> None:
    hass.config_entries.async_update_entry(entry, options={"exclude": PRIVATE_RULES})
    await connect(hass, entry, connection, {"home": "susans", "include": {"globs": ["device_tracker.susan_*"]}})
    hass.states.async_set("person.susan", "home")
    await hass.async_block_till_done()
    told = await get_diagnostics_for_config_entry(hass, hass_client, entry)
    text = json.dumps(told)
    private = ("susan", connection["token"], connection["url"], f'"{connection["bucket"]}', "127.0.0.1")
    assert [word for word in private if str(word) in text] == []
    assert len(told["entry"]["subentries"]) == len(told["replicas"]) == 1


@pytest.mark.usefixtures("diagnostics")
async def test_diagnostics_work_while_the_store_cannot_be_read(
    hass: HomeAssistant, hass_client: ClientSessionGenerator, entry: HomeIQConfigEntry, homeiq: HomeIQData
) -> None:
    with patch.object(homeiq.store, "stats", side_effect=StoreError("locked", reason="locked")):
        told = await get_diagnostics_for_config_entry(hass, hass_client, entry)
    assert told["store"] == {"error": "locked"}


@pytest.mark.usefixtures("diagnostics")
async def test_diagnostics_work_while_nothing_is_loaded(
    hass: HomeAssistant, hass_client: ClientSessionGenerator, entry: HomeIQConfigEntry
) -> None:
    """A failed entry is when they are needed most."""
    await hass.config_entries.async_unload(entry.entry_id)
    told = await get_diagnostics_for_config_entry(hass, hass_client, entry)
    assert set(told) == {"entry"}
    assert told["entry"]["state"] == "not_loaded"


async def test_system_health_tells_the_engine_and_the_store(
    hass: HomeAssistant, entry: HomeIQConfigEntry, homeiq: HomeIQData, flush: Flush
) -> None:
    hass.states.async_set("light.kitchen", "on")
    await flush()
    await homeiq.coordinator.async_refresh()
    assert await async_setup_component(hass, "system_health", {})
    await hass.async_block_till_done()
    told = await get_system_health_info(hass, DOMAIN)
    assert told["store"] == "ok"
    assert (told["schema"], told["events"], told["lost"], told["replicas"]) == (SCHEMA_VERSION, 1, 0, 0)
    assert told["store_size"].endswith(" MB")
    assert told["buffer"].endswith(" / 50000")
    assert told["engine"].startswith("numpy 2.")
    assert told["backfill"] == "no_recorder"


async def test_system_health_says_what_it_does_not_know(
    hass: HomeAssistant, entry: HomeIQConfigEntry, homeiq: HomeIQData
) -> None:
    assert await async_setup_component(hass, "system_health", {})
    await hass.async_block_till_done()
    with patch.object(homeiq.store, "stats", side_effect=StoreError("locked", reason="locked")):
        await homeiq.coordinator.async_refresh()
    told = await get_system_health_info(hass, DOMAIN)
    assert (told["events"], told["store_size"]) == (None, None)
    await hass.config_entries.async_unload(entry.entry_id)
    assert await get_system_health_info(hass, DOMAIN) == {"store": "not_loaded"}
