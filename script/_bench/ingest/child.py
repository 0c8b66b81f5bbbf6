"""Measure one variant in a process of its own: the job as JSON in the argument, the answer as JSON on stdout."""

import gc
from pathlib import Path
import sys
import time
from typing import Final

if not __package__:  # Run by path; the checkout itself stays off the path: the integration comes from the folder.
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from _bench.common import Json
from _bench.ingest.home import answer_job, make_config, register, running_home
from _bench.ingest.keepers import closed_bytes, held_bytes, keeper_of
from _bench.ingest.measures import (
    RATE,
    Sender,
    loop_time,
    loop_time_with_listener,
    steady,
    throughput,
)
from _bench.ingest.workload import Workload
from _bench.memory import forget_peak, peak_mb

_DAY_S: Final = 86_400.0


async def measure(job: Json) -> Json:
    """Run all phases on one home, in order; raises BenchError where the home does not do what it should."""
    folder = Path(job["folder"])
    make_config(folder)
    keeper = keeper_of(job["variant"], folder)
    workload = Workload()
    batches = [workload.take(count) for count in (job["cpu"], job["cpu"], job["burst"], job["steady_s"] * RATE)]
    # The workload would otherwise be walked through by every full collection.
    gc.collect()
    gc.freeze()
    async with running_home(folder, keeper.set_up) as hass:
        register(hass, workload.things)
        sender = Sender(hass, keeper, time.time() - 3 * _DAY_S)
        await sender.settle()
        empty = held_bytes(keeper.path)
        sender.send(workload.first())
        await sender.settle()
        set_us = await loop_time(sender, batches[0])
        set_listened_us = await loop_time_with_listener(hass, sender, batches[1])
        forget_peak()
        durable = await throughput(sender, batches[2])
        burst_mb = peak_mb()
        forget_peak()
        lag = await steady(sender, batches[3])
        steady_mb = peak_mb()
    return {
        "set_us": set_us,
        "set_listened_us": set_listened_us,
        "durable": durable,
        "lag_ms": lag,
        "burst_mb": burst_mb,
        "steady_mb": steady_mb,
        "bytes": closed_bytes(keeper.path) - empty,
        "events": sender.sent,
        "steady_events": len(batches[3]),
    }


if __name__ == "__main__":
    sys.exit(answer_job(measure))
