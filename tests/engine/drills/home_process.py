"""Store numbered events at a rate and replicate them, until somebody kills this process.

The job is JSON in the argument: {path, url, org, bucket, token, rate, name, last}. Numbers go on after the last that is
stored, up to ``last``. Prints JSON lines: {"stored": n, "cursor": n, "failed": text} about every tenth of a second.
"""

import asyncio
from importlib.util import module_from_spec, spec_from_file_location
import json
from pathlib import Path
import sys
import time

_LOADER = Path(__file__).parents[3] / "custom_components" / "homeiq" / "engine" / "load.py"
_TICK_S = 0.01


def _load() -> None:
    spec = spec_from_file_location("loader", _LOADER)
    assert spec is not None
    assert spec.loader is not None
    loader = module_from_spec(spec)
    spec.loader.exec_module(loader)
    loader.load_engine()


class _Clock:
    def now_us(self) -> int:
        return time.time_ns() // 1000

    def monotonic(self) -> float:
        return time.monotonic()


class _Facts:
    def snapshot(self) -> dict[str, object]:
        return {}


class _Decoder:
    def decode(self, item: object) -> object:
        return item


async def main(job: dict) -> None:
    """Offer events at the rate, tell of progress."""
    from homeiq_engine.model import EventKind, RawEvent  # noqa: PLC0415
    from homeiq_engine.pipeline import FilterSettings, Pipeline  # noqa: PLC0415
    from homeiq_engine.replica import Backoff, InfluxSettings, Replica  # noqa: PLC0415
    from homeiq_engine.store import Follower, Store  # noqa: PLC0415

    clock = _Clock()
    store = Store(Path(job["path"]), clock)
    await store.open()
    settings = InfluxSettings(url=job["url"], org=job["org"], bucket=job["bucket"], token=job["token"])
    replica = Replica(
        Follower(store, "influxdb:drill"),
        settings,
        clock,
        title="drill",
        backoff=Backoff(first=0.1, longest=0.5),
    )
    pipeline = Pipeline(
        sink=store,
        decoder=_Decoder(),
        facts=_Facts(),
        clock=clock,
        settings=FilterSettings(),
        started=True,
        on_stored=replica.notify,
    )
    number = await store.last_row_id()
    pipeline.start()
    running = asyncio.create_task(replica.run())
    begun, first = time.monotonic(), number
    while not running.done():
        due = min(first + int((time.monotonic() - begun) * job["rate"]) + 1, job["last"])
        while number < due:
            number += 1
            pipeline.buffer.offer(
                RawEvent(
                    kind=EventKind.STATE,
                    time_us=clock.now_us(),
                    entity_id=f"sensor.s{number % 50}",
                    state=str(number),
                    old_state=str(number - 1),
                    attributes={"n": number},
                )
            )
        await asyncio.sleep(_TICK_S)
        stats = replica.stats
        told = {"stored": await store.last_row_id(), "cursor": stats.cursor, "failed": stats.last_error}
        sys.stdout.write(f"{json.dumps(told)}\n")
        sys.stdout.flush()


_load()
asyncio.run(main(json.loads(sys.argv[1])))
