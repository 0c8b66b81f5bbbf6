"""Measure HomeIQ's replica draining a store, in a process of its own, without Home Assistant.

Job: {path, server: {...}, name, layout}.
"""

import asyncio
import json
import logging
from pathlib import Path
import sys
import time
from typing import Final

if not __package__:  # Run by path.
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from _bench.common import BenchError, Json
from _bench.engine import SystemClock
from _bench.memory import forget_peak, peak_mb
from _bench.replica.ours import make_replica, make_settings
from homeiq_engine.replica import check_connection
from homeiq_engine.store import Store

_GIVE_UP_S: Final = 120.0
_POLL_S: Final = 0.005


async def drain(job: Json) -> Json:
    """Follow the store from its first event to its last; ``cpu_us`` is CPU time of the process per point."""
    settings = make_settings(job["server"], job["layout"])
    # Imports the client, as a home has it that runs.
    await check_connection(settings)
    store = Store(Path(job["path"]), SystemClock())
    last = await store.last_row_id()
    replica = make_replica(store, settings, job["name"])
    forget_peak()
    resident, cpu, begun = peak_mb(), time.process_time(), time.perf_counter()
    running = asyncio.create_task(replica.run())
    while replica.stats.cursor < last:
        if running.done() or time.perf_counter() - begun > _GIVE_UP_S:
            raise BenchError(f"the replica stands at {replica.stats.cursor} of {last}: {replica.stats}")
        await asyncio.sleep(_POLL_S)
    spent, cpu = time.perf_counter() - begun, time.process_time() - cpu
    stats = replica.stats
    peak = peak_mb()
    await replica.stop()
    await running
    await store.close()
    return {
        "points_per_s": stats.sent / spent,
        "cpu_us": cpu / stats.sent * 1e6,
        "memory_mb": peak - resident,
        "sent": stats.sent,
        "bytes_sent": stats.bytes_sent,
    }


def main() -> int:
    """Measure and print."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    answer = asyncio.run(drain(json.loads(sys.argv[1])))
    sys.stdout.write(f"{json.dumps(answer)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
