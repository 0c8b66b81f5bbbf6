"""Load the engine without Home Assistant as ``homeiq_engine``, as its own children do: importing this file does it."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
import time
from typing import Final

ENGINE: Final = Path(__file__).resolve().parents[2] / "custom_components" / "homeiq" / "engine"


def _load_engine() -> None:
    spec = spec_from_file_location("homeiq_engine_loader", ENGINE / "load.py")
    if spec is None or spec.loader is None:
        raise ImportError(f"no engine in {ENGINE}")
    loader = module_from_spec(spec)
    spec.loader.exec_module(loader)
    loader.load_engine()


class SystemClock:
    """Read the machine's clocks."""

    def now_us(self) -> int:
        """Return microseconds UTC."""
        return time.time_ns() // 1_000

    def monotonic(self) -> float:
        """Return seconds."""
        return time.monotonic()


_load_engine()
