"""Start a real Home Assistant core in this process, with the bench's entities registered."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
import json
import logging
from pathlib import Path
import socket
import sys
from typing import Final

from homeassistant import bootstrap, loader, runner
from homeassistant.config_entries import ConfigEntries
from homeassistant.core import HomeAssistant
from homeassistant.core_config import async_process_ha_core_config
from homeassistant.helpers import area_registry as ar, entity_registry as er, floor_registry as fr, label_registry as lr
from homeassistant.setup import async_setup_component

from _bench.common import BenchError, Json

from .workload import Thing

_INTEGRATION: Final = Path(__file__).resolve().parents[3] / "custom_components" / "homeiq"
# What every home runs and HomeIQ depends on; all variants have it.
_COMPONENTS: Final = ("homeassistant", "http", "websocket_api")
_AREAS: Final = ("Kitchen", "Living room", "Bedroom", "Bath", "Hall", "Office", "Cellar", "Garden")


def answer_job(measure: Callable[[Json], Awaitable[Json]]) -> int:
    """Measure what the job in the argument asks for, on Home Assistant's own event loop, and print the answer as JSON."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("homeassistant.loader").setLevel(logging.ERROR)
    loop = runner.create_event_loop()
    asyncio.set_event_loop(loop)
    answer = loop.run_until_complete(measure(json.loads(sys.argv[1])))
    sys.stdout.write(f"{json.dumps(answer)}\n")
    sys.stdout.flush()
    return 0


def make_config(folder: Path) -> None:
    """Make a configuration folder that holds the integration by a link."""
    components = folder / "custom_components"
    components.mkdir(parents=True)
    # A package of its own comes before any other of this name on the path.
    (components / "__init__.py").touch()
    (components / "homeiq").symlink_to(_INTEGRATION, target_is_directory=True)


@asynccontextmanager
async def running_home(
    folder: Path, set_up: Callable[[HomeAssistant], Awaitable[None]]
) -> AsyncGenerator[HomeAssistant]:
    """Run a core on a configuration folder: base, components, ``set_up``, start; it is stopped in order."""
    hass = HomeAssistant(str(folder))
    loader.async_setup(hass)
    hass.config_entries = ConfigEntries(hass, {})
    await loader.async_get_custom_components(hass)
    if not await bootstrap.async_load_base_functionality(hass):
        raise BenchError("Home Assistant's registries could not be loaded")
    await async_process_ha_core_config(hass, {"time_zone": "Europe/Berlin"})
    config = {"http": {"server_host": ["127.0.0.1"], "server_port": _free_port()}}
    for component in _COMPONENTS:
        if not await async_setup_component(hass, component, config):
            raise BenchError(f"{component} could not be set up")
    await set_up(hass)
    await hass.async_start()
    await hass.async_block_till_done()
    try:
        yield hass
    finally:
        await hass.async_stop()


def register(hass: HomeAssistant, things: list[Thing]) -> None:
    """Put the entities into the registries: areas on floors, a label for every fourth one."""
    floors = [fr.async_get(hass).async_create(name).floor_id for name in ("Ground", "Upper")]
    areas = [
        ar.async_get(hass).async_create(name, floor_id=floors[number % len(floors)]).id
        for number, name in enumerate(_AREAS)
    ]
    label = lr.async_get(hass).async_create("Important").label_id
    entities = er.async_get(hass)
    for number, thing in enumerate(things):
        domain, _, name = thing.entity_id.partition(".")
        entry = entities.async_get_or_create(
            domain,
            "demo",
            thing.entity_id,
            suggested_object_id=name,
            original_device_class=thing.device_class,
            unit_of_measurement=thing.unit,
        )
        if entry.entity_id != thing.entity_id:
            raise BenchError(f"{thing.entity_id} was registered as {entry.entity_id}")
        entities.async_update_entity(
            entry.entity_id, area_id=areas[number % len(areas)], labels={label} if number % 4 == 0 else set()
        )


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port
