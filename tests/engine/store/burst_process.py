"""Store numbered events as fast as they are offered until somebody kills this process.

Prints, after each commit, how many events the store has confirmed since the process began.
"""

import asyncio
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
import sys
import time

_LOADER = Path(__file__).parents[3] / "custom_components" / "homeiq" / "engine" / "load.py"


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
        return _NO_FACTS


class _Decoder:
    def decode(self, item: object) -> object:
        return item


_NO_FACTS: dict[str, object] = {}


async def main(path: Path) -> None:
    """Offer 40 events every 10 ms, going on with the number after the last that is stored."""
    from homeiq_engine.model import EventKind, RawEvent  # noqa: PLC0415
    from homeiq_engine.pipeline import FilterSettings, Pipeline  # noqa: PLC0415
    from homeiq_engine.store import Store  # noqa: PLC0415

    clock = _Clock()
    store = Store(path, clock)
    await store.open()
    number = await store.last_row_id()

    def confirm() -> None:
        sys.stdout.write(f"{pipeline.stats().stored}\n")
        sys.stdout.flush()

    pipeline = Pipeline(
        sink=store,
        decoder=_Decoder(),
        facts=_Facts(),
        clock=clock,
        settings=FilterSettings(),
        started=True,
        on_stored=confirm,
    )
    pipeline.start()
    while True:
        for _ in range(40):
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
        await asyncio.sleep(0.01)


_load()
asyncio.run(main(Path(sys.argv[1])))
