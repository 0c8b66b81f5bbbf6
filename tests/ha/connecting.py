"""Lead a test through the InfluxDB flow as a user is led, and wait for what follows."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from custom_components.homeiq.runtime import HomeIQConfigEntry, HomeIQData
from homeassistant.config_entries import SOURCE_RECONFIGURE, SOURCE_USER, ConfigSubentry
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType

type Step = Mapping[str, Any]

_FIELDS = {"user": ("url", "token", "verify_ssl", "ca_pem"), "bucket": ("org", "bucket")}


def fields_of(step: str, connection: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a connection is entered in a step."""
    return {name: connection[name] for name in _FIELDS[step] if name in connection}


async def begin(hass: HomeAssistant, entry: HomeIQConfigEntry) -> Step:
    """Open the flow."""
    return await hass.config_entries.subentries.async_init(
        (entry.entry_id, "influxdb"), context={"source": SOURCE_USER}
    )


async def begin_again(hass: HomeAssistant, entry: HomeIQConfigEntry, subentry: ConfigSubentry) -> Step:
    """Open the flow that changes a connection."""
    return await hass.config_entries.subentries.async_init(
        (entry.entry_id, "influxdb"),
        context={"source": SOURCE_RECONFIGURE, "subentry_id": subentry.subentry_id},
    )


async def answer(hass: HomeAssistant, step: Step, entered: Mapping[str, Any]) -> Step:
    """Answer one step."""
    return await hass.config_entries.subentries.async_configure(step["flow_id"], dict(entered))


async def to_settings(hass: HomeAssistant, entry: HomeIQConfigEntry, connection: Mapping[str, Any]) -> Step:
    """Go as far as the last form."""
    step = await answer(hass, await begin(hass, entry), fields_of("user", connection))
    step = await answer(hass, step, fields_of("bucket", connection))
    assert (step["type"], step.get("step_id")) == (FlowResultType.FORM, "settings")
    return step


async def connect(
    hass: HomeAssistant,
    entry: HomeIQConfigEntry,
    connection: Mapping[str, Any],
    settings: Mapping[str, Any] | None = None,
) -> ConfigSubentry:
    """Add a connection; return its subentry once it is applied."""
    before = set(entry.subentries)
    done = await answer(hass, await to_settings(hass, entry, connection), settings or {})
    assert done["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done()
    (made,) = set(entry.subentries) - before
    return entry.subentries[made]


async def caught_up(homeiq: HomeIQData) -> None:
    """Wait until no replica lags; the test's own time limit ends it otherwise."""
    for replica in homeiq.replicas.values():
        while (await replica.fresh_stats()).lag_events:
            replica.notify()
            await asyncio.sleep(0.02)


async def until(hass: HomeAssistant, answer_is: Callable[[], bool]) -> None:
    """Wait until something is so; the test's time limit ends it otherwise."""
    async with asyncio.timeout(30):
        while not answer_is():
            await asyncio.sleep(0.02)
            await hass.async_block_till_done()
