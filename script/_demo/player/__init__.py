"""Be the devices of the demo's home and play files of steps on the real bus, fast, keeping a ledger of what happened.

`script/demo` copies this folder into its temporary configuration; it is no part of HomeIQ.
"""

import json
from pathlib import Path

from homeassistant.core import HomeAssistant, ServiceCall, ServiceResponse, SupportsResponse
from homeassistant.helpers import area_registry as ar, config_validation as cv, entity_registry as er
from homeassistant.helpers.discovery import async_load_platform
from homeassistant.helpers.typing import ConfigType

from ._entity import DOMAIN, PLATFORMS, HomeData, Thing
from ._play import play

CONFIG_SCHEMA = cv.empty_config_schema(DOMAIN)


async def async_setup(hass: HomeAssistant, config: ConfigType) -> bool:
    """Set up the entities that `<config>/homeiq_demo/home.json` lists, and the service that plays a file."""
    folder = Path(hass.config.path(DOMAIN))
    things = await hass.async_add_executor_job(_read_home, folder / "home.json")
    data = hass.data[DOMAIN] = HomeData(things=things)
    _place(hass, things)
    for platform in PLATFORMS:
        hass.async_create_task(async_load_platform(hass, platform, DOMAIN, {}, config))

    async def handle_play(call: ServiceCall) -> ServiceResponse:
        return await play(hass, data.entities, folder, str(call.data["file"]))

    hass.services.async_register(DOMAIN, "play", handle_play, supports_response=SupportsResponse.ONLY)
    return True


def _read_home(path: Path) -> list[Thing]:
    things: list[Thing] = json.loads(path.read_text(encoding="utf-8"))
    return things


def _place(hass: HomeAssistant, things: list[Thing]) -> None:
    """Register each entity in its area before its platform adds it, so that no later registry change is an event."""
    areas = ar.async_get(hass)
    entities = er.async_get(hass)
    for thing in things:
        domain, _, object_id = thing["entity_id"].partition(".")
        if domain not in PLATFORMS:
            continue
        entry = entities.async_get_or_create(domain, DOMAIN, thing["entity_id"], suggested_object_id=object_id)
        if thing["area"] is not None and entry.area_id is None:
            entities.async_update_entity(entry.entity_id, area_id=areas.async_get_or_create(thing["area"]).id)
