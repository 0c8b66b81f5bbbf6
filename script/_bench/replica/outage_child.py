"""Run a home with HomeIQ and its replica through an outage of the server, in a process of its own.

Job: {folder, server: {...}, events, rate}. Prints {"begun": true} when the events begin; others stop and start the server.
"""

import asyncio
import gc
import json
from pathlib import Path
import sys
import time
from types import MappingProxyType
from typing import Final

if not __package__:  # Run by path; the checkout itself stays off the path: the integration comes from the folder.
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from homeassistant.config_entries import ConfigSubentry
from homeassistant.core import HomeAssistant

from _bench.common import BenchError, Json
from _bench.ingest.home import answer_job, make_config, register, running_home
from _bench.ingest.keepers import DOMAIN, HomeIQKeeper
from _bench.ingest.measures import Sender, steady
from _bench.ingest.workload import Workload
from _bench.memory import forget_peak, peak_mb

_SAMPLE_S: Final = 0.1
_CATCH_UP_S: Final = 180.0


class ReplicatedHome(HomeIQKeeper):
    """Keep events by HomeIQ with an InfluxDB connection beside it."""

    def __init__(self, folder: Path, server: Json) -> None:
        """Know the folder and the server."""
        super().__init__(folder)
        self._server = server

    async def add_replica(self, hass: HomeAssistant) -> None:
        """Add the connection to the entry, as the subentry flow does when all is well; raises BenchError."""
        server = self._server
        data = {
            "url": server["url"],
            "org": server["org"],
            "bucket": server["bucket"],
            "token": server["token"],
            "verify_ssl": True,
        }
        entry = hass.config_entries.async_entries(DOMAIN)[0]
        subentry = ConfigSubentry(data=MappingProxyType(data), subentry_type="influxdb", title="bench", unique_id=None)
        hass.config_entries.async_add_subentry(entry, subentry)
        await hass.async_block_till_done()
        async with asyncio.timeout(10):
            while subentry.subentry_id not in entry.runtime_data.replicas:
                await asyncio.sleep(_SAMPLE_S)
        self.replica = entry.runtime_data.replicas[subentry.subentry_id]
        self.store = entry.runtime_data.store


async def measure(job: Json) -> Json:
    """Send at a steady rate, then wait until the replica has caught up."""
    folder = Path(job["folder"])
    make_config(folder)
    keeper = ReplicatedHome(folder, job["server"])
    workload = Workload()
    changes = workload.take(job["events"])
    gc.collect()
    gc.freeze()
    async with running_home(folder, keeper.set_up) as hass:
        register(hass, workload.things)
        await keeper.add_replica(hass)
        # The client's import and the first connection are over, and nothing waits.
        await _caught_up(keeper)
        sender = Sender(hass, keeper, time.time())
        sys.stdout.write(f"{json.dumps({'begun': True})}\n")
        sys.stdout.flush()
        samples: list[tuple[float, int, int]] = []
        sampling = asyncio.create_task(_sample(keeper, samples))
        forget_peak()
        lag = await steady(sender, changes, job["rate"])
        await _caught_up(keeper)
        # What the home itself stores when it stops waits for its next start.
        rows = keeper.replica.stats.cursor
        sampling.cancel()
        memory_mb = peak_mb()
    return {
        "sent": sender.sent,
        "lag_ms": lag,
        "samples": samples,
        "memory_mb": memory_mb,
        "path": str(keeper.path),
        "rows": rows,
    }


async def _sample(keeper: ReplicatedHome, samples: list[tuple[float, int, int]]) -> None:
    """Note again and again the time, the last acknowledged row and the last stored one."""
    while True:
        last = await keeper.store.last_row_id()
        samples.append((time.time(), keeper.replica.stats.cursor, last))
        await asyncio.sleep(_SAMPLE_S)


async def _caught_up(keeper: ReplicatedHome) -> None:
    begun = time.perf_counter()
    while keeper.replica.stats.cursor < await keeper.store.last_row_id():
        if time.perf_counter() - begun > _CATCH_UP_S:
            raise BenchError(f"the replica has not caught up: {keeper.replica.stats}")
        await asyncio.sleep(_SAMPLE_S)


if __name__ == "__main__":
    sys.exit(answer_job(measure))
