"""Measure what HomeIQ adds to a start of Home Assistant, in a fresh process on a home that has it already."""

import asyncio
from importlib import import_module
import json
import logging
from pathlib import Path
import sys
import time
from typing import Final

if not __package__:  # Run by path; the checkout itself stays off the path: the integration comes from the folder.
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from homeassistant import runner
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.setup import async_setup_component

from _bench.common import BenchError, Json
from _bench.ingest.home import running_home

HEAVY: Final = ("numpy", "influxdb_client", "sqlalchemy", "openai", "sklearn")
# What a home with default_config has imported before it comes to custom integrations.
_USUAL: Final = (
    "api",
    "automation",
    "backup",
    "binary_sensor",
    "config",
    "diagnostics",
    "history",
    "homeassistant",
    "http",
    "logbook",
    "recorder",
    "repairs",
    "scene",
    "script",
    "sensor",
    "sun",
    "system_health",
    "system_log",
    "websocket_api",
)


def measure_import(folder: Path) -> Json:
    """Import the integration after what every home has imported; return ms, the modules it brought and those it found."""
    import_module("homeassistant.bootstrap")
    for name in _USUAL:
        import_module(f"homeassistant.components.{name}")
    sys.path.insert(0, str(folder))
    known = set(sys.modules)
    before = time.perf_counter()
    import_module("custom_components.homeiq")
    spent = time.perf_counter() - before
    return {"ms": spent * 1e3, "new": sorted(set(sys.modules) - known), "known": sorted(known)}


async def measure_start(folder: Path) -> float:
    """Start a home that has an entry; return the ms that setting HomeIQ up takes, its entry and platforms included."""
    spent = 0.0

    async def set_up(hass: HomeAssistant) -> None:
        nonlocal spent
        before = time.perf_counter()
        if not await async_setup_component(hass, "homeiq", {}):
            raise BenchError("HomeIQ could not be set up")
        spent = time.perf_counter() - before
        entry = hass.config_entries.async_entries("homeiq")[0]
        if entry.state is not ConfigEntryState.LOADED:
            raise BenchError(f"HomeIQ is not loaded but {entry.state}: {entry.reason}")

    async with running_home(folder, set_up):
        return spent * 1e3


def main() -> int:
    """Measure and print."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("homeassistant.loader").setLevel(logging.ERROR)
    folder = Path(json.loads(sys.argv[1])["folder"])
    imported = measure_import(folder)
    known = set(sys.modules)
    loop = runner.create_event_loop()
    asyncio.set_event_loop(loop)
    setup_ms = loop.run_until_complete(measure_start(folder))
    new = set(imported["new"]) | (set(sys.modules) - known)
    answer = {
        "import_ms": imported["ms"],
        "setup_ms": setup_ms,
        "modules": len(imported["new"]),
        "heavy": sorted(new.intersection(HEAVY)),
        "heavy_before": sorted(set(imported["known"]).intersection(HEAVY)),
    }
    sys.stdout.write(f"{json.dumps(answer)}\n")
    sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
