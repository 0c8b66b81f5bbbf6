"""Fill a store with a home's events through a real Home Assistant and HomeIQ, in a process of its own.

Job: {folder, count, start_s}; answer: {path, events}, where ``events`` are all rows of the store.
"""

import asyncio
from contextlib import closing
from itertools import batched
import json
import logging
from pathlib import Path
import sqlite3
import sys

if not __package__:  # Run by path; the checkout itself stays off the path: the integration comes from the folder.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from homeassistant import runner

from _bench.common import Json
from _bench.ingest.home import make_config, register, running_home
from _bench.ingest.keepers import HomeIQKeeper
from _bench.ingest.measures import SLICE, Sender
from _bench.ingest.workload import Workload


async def fill(folder: Path, count: int, start_s: float) -> Json:
    """Store so many events, the first at ``start_s`` (seconds since 1970); raises BenchError where one is missing."""
    make_config(folder)
    keeper = HomeIQKeeper(folder)
    workload = Workload()
    async with running_home(folder, keeper.set_up) as hass:
        register(hass, workload.things)
        sender = Sender(hass, keeper, start_s)
        await sender.settle()
        for part in batched(workload.take(count), SLICE, strict=False):
            await sender.room(SLICE)
            sender.send(part)
        await sender.settle()
    with closing(sqlite3.connect(keeper.path)) as connection:
        (events,) = connection.execute("SELECT COUNT(*) FROM events").fetchone()
    return {"path": str(keeper.path), "events": events}


def main() -> int:
    """Fill and print."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("homeassistant.loader").setLevel(logging.ERROR)
    job = json.loads(sys.argv[1])
    loop = runner.create_event_loop()
    asyncio.set_event_loop(loop)
    answer = loop.run_until_complete(fill(Path(job["folder"]), job["count"], job["start_s"]))
    sys.stdout.write(f"{json.dumps(answer)}\n")
    sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
