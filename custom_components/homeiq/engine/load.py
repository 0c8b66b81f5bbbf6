"""Load the engine without Home Assistant, as the top-level package ``homeiq_engine``.

Importing ``custom_components.homeiq.engine`` runs ``custom_components/homeiq/__init__.py`` first and with it all of
Home Assistant (about 3 s). Children and engine tests must not pay for that, nor see it. This file imports nothing of
the package, so it can be run by path.
"""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
import sys
from types import ModuleType

PACKAGE = "homeiq_engine"


def load_engine() -> ModuleType:
    """Return the engine package, loading it under its stand-alone name on the first call.

    Raises ImportError if the engine's files are not beside this one.
    """
    if (loaded := sys.modules.get(PACKAGE)) is not None:
        return loaded
    folder = Path(__file__).resolve().parent
    spec = spec_from_file_location(PACKAGE, folder / "__init__.py", submodule_search_locations=[str(folder)])
    if spec is None or spec.loader is None:
        raise ImportError(f"no engine package in {folder}")
    package = module_from_spec(spec)
    sys.modules[PACKAGE] = package
    spec.loader.exec_module(package)
    return package
