"""Open a store and do one thing with it, until somebody kills this process or it kills itself at a chosen step.

usage: transfer_process.py hold|export|import|restore STORE [FILE] [STEP]

Prints "open" when the store is open, a number at each progress, and "done". With STEP the process kills itself
(SIGKILL) just before the STEP-th time that it names, links, deletes or opens a file or a database in the store's folder.
"""

import asyncio
from importlib.util import module_from_spec, spec_from_file_location
import os
from pathlib import Path
import signal
import sys
import time

_LOADER = Path(__file__).parents[3] / "custom_components" / "homeiq" / "engine" / "load.py"
_EVENTS = frozenset({"os.link", "os.rename", "os.remove", "open", "sqlite3.connect"})


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


def _say(word: object) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def _kill_at(step: int, folder: str) -> None:
    steps = 0

    def count(event: str, details: tuple[object, ...]) -> None:
        nonlocal steps
        if event in _EVENTS and any(
            folder in os.fsdecode(one) for one in details if isinstance(one, str | bytes | Path)
        ):
            steps += 1
            if steps == step:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)


async def main(what: str, path: Path, file: Path | None, step: int | None) -> None:
    """Do what is asked for."""
    from homeiq_engine.store import Store, export_events, import_events, restore  # noqa: PLC0415

    store = Store(path, _Clock())
    await store.open()
    _say("open")
    if step is not None:
        _kill_at(step, str(path.parent))
    work = {"export": export_events, "import": import_events, "restore": restore}.get(what)
    if work is None or file is None:
        await asyncio.sleep(3600)
        return
    await work(store, file, progress=lambda done, _: _say(done))
    await store.close()
    _say("done")


_load()
_given = sys.argv[3:]
asyncio.run(
    main(sys.argv[1], Path(sys.argv[2]), Path(_given[0]) if _given else None, int(_given[1]) if _given[1:] else None)
)
