"""Measure Home Assistant's influxdb integration in a process of its own.

Job: {folder, server: {...}, api, phase: "drain", events} or {..., phase: "outage", events, rate}.
"""

import asyncio
import gc
from itertools import batched
import json
import logging
from pathlib import Path
import sys
import time
from typing import Final
from urllib.error import URLError

if not __package__:  # Run by path.
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from homeassistant import runner

from _bench.common import BenchError, Json
from _bench.ingest.home import make_config, register, running_home
from _bench.ingest.keepers import NoKeeper
from _bench.ingest.measures import RUN, Sender, steady
from _bench.ingest.workload import Change, Workload
from _bench.memory import forget_peak, peak_mb
from _bench.replica.core_influxdb import CoreInfluxDB, Server

_POLL_S: Final = 0.05
# It gives up what has waited for 30 s, so a drain that takes longer is one with losses.
_GIVE_UP_S: Final = 60.0
_QUIET_S: Final = 5.0


async def measure(job: Json) -> Json:
    """Run one phase on one home."""
    folder = Path(job["folder"])
    make_config(folder)
    (folder / "configuration.yaml").touch()
    influx = CoreInfluxDB(Server(**job["server"]), job["api"])
    workload = Workload()
    changes = workload.take(job["events"])
    gc.collect()
    gc.freeze()
    async with running_home(folder, influx.set_up) as hass:
        register(hass, workload.things)
        # Times of this moment: the server's data for a week lie in one shard.
        sender = Sender(hass, NoKeeper(), time.time() - changes[-1].offset_s)
        try:
            if job["phase"] == "drain":
                return await _drain(influx, sender, changes)
            return await _outage(influx, sender, changes, job["rate"])
        finally:
            await influx.unload(hass)


async def _drain(influx: CoreInfluxDB, sender: Sender, changes: list[Change]) -> Json:
    """Fill its queue as fast as it takes events, then watch it drain; the faster of both rates counts.

    ``points_per_s`` is of the whole, ``draining_per_s`` of what was left when the last event had been sent, when nothing
    else uses the interpreter any more; ``cpu_us`` is the CPU time of the process per point of the latter.
    """
    forget_peak()
    resident = peak_mb()
    begun = time.perf_counter()
    for part in batched(changes, RUN, strict=False):
        sender.send(part)
        await asyncio.sleep(0)
    left, sent, cpu = influx.waiting(), time.perf_counter(), time.process_time()
    while influx.waiting():
        await asyncio.sleep(_POLL_S)
    cpu_end = time.process_time()
    while (count := await asyncio.to_thread(influx.delivered)) < len(changes):
        if time.perf_counter() - begun > _GIVE_UP_S:
            raise BenchError(f"Home Assistant's influxdb integration delivered {count} of {len(changes)} events")
        await asyncio.sleep(_POLL_S)
    ended = time.perf_counter()
    return {
        "points_per_s": len(changes) / (ended - begun),
        "draining_per_s": left / (ended - sent),
        "left": left,
        "cpu_us": (cpu_end - cpu) / left * 1e6,
        "memory_mb": peak_mb() - resident,
    }


async def _outage(influx: CoreInfluxDB, sender: Sender, changes: list[Change], rate: int) -> Json:
    """Send at a steady rate while others stop and start the server; count what has arrived when no more comes."""
    sys.stdout.write(f"{json.dumps({'begun': True})}\n")
    sys.stdout.flush()
    lag = await steady(sender, changes, rate)
    count, quiet_since = -1, time.perf_counter()
    while time.perf_counter() - quiet_since < _QUIET_S:
        try:
            now = await asyncio.to_thread(influx.delivered)
        except URLError, ConnectionError, TimeoutError:
            # Still away, on a busy machine.
            now = -1
        if now < 0 or now != count:
            count, quiet_since = now, time.perf_counter()
        await asyncio.sleep(_POLL_S * 10)
    return {"sent": sender.sent, "delivered": count, "lag_ms": lag}


def main() -> int:
    """Measure and print."""
    logging.basicConfig(level=logging.ERROR, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    job = json.loads(sys.argv[1])
    if job["phase"] == "outage":
        # It logs whole batches; the bench tells what was lost.
        logging.getLogger("homeassistant.components.influxdb").setLevel(logging.CRITICAL)
        logging.getLogger("influxdb").setLevel(logging.CRITICAL)
    loop = runner.create_event_loop()
    asyncio.set_event_loop(loop)
    answer = loop.run_until_complete(measure(job))
    sys.stdout.write(f"{json.dumps(answer)}\n")
    sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
