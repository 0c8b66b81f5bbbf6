"""Load the engine as the top-level package ``homeiq_engine``, as its children do: without Home Assistant.

``pytest tests/engine -p no:homeassistant`` runs these tests without loading Home Assistant's test plugin either.
"""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

ENGINE = Path(__file__).parents[2] / "custom_components" / "homeiq" / "engine"


def _load() -> None:
    spec = spec_from_file_location("homeiq_engine_loader", ENGINE / "load.py")
    assert spec is not None
    assert spec.loader is not None
    loader = module_from_spec(spec)
    spec.loader.exec_module(loader)
    loader.load_engine()


_load()
