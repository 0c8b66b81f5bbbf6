"""The rules of the house about imports and file sizes hold, and a breach of each of them is seen."""

from pathlib import Path

import pytest

from checks.import_rules import FILE_MAX_LINES, INIT_MAX_LINES, breaches


def _write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_the_integration_keeps_the_rules() -> None:
    """No file of the integration breaks a rule."""
    assert breaches() == []


def test_a_tree_that_uses_every_permitted_way_has_no_breach(tmp_path: Path) -> None:
    """The permitted directions, doors and libraries are not reported."""
    root = _write(
        tmp_path,
        {
            "__init__.py": "from .runtime import start\nfrom . import services\n",
            "const.py": "DOMAIN = 'homeiq'\n",
            "services.py": "from .runtime import start\nfrom .adapters.bus import Bus\nimport voluptuous as vol\n",
            "runtime.py": "from .adapters.bus import Bus\nfrom .const import DOMAIN\nfrom .engine.store import Store\n",
            "adapters/__init__.py": "",
            "adapters/bus.py": "from homeassistant.core import callback\nfrom ..const import DOMAIN\nfrom ..engine.model import Event\n",
            "engine/__init__.py": "",
            "engine/ports.py": "from typing import Protocol\nfrom .model import Event\n",
            "engine/cycle.py": "from .store import Store\nfrom .mining import mine\nfrom .ports import Clock\n",
            "engine/model/__init__.py": "from ._event import Event\n__all__ = ['Event']\n",
            "engine/model/_event.py": "import dataclasses\n",
            "engine/store/__init__.py": "from ._store import Store\n__all__ = ['Store']\n",
            "engine/store/_store.py": "import aiosqlite\nfrom . import _rows\nfrom ..model import Event\nfrom ..ports import Clock\n",
            "engine/store/_rows.py": "import orjson\n",
            "engine/mining/__init__.py": "__all__ = ['mine']\n",
            "shadow_home/__init__.py": "import homeassistant\n",
            "shadow_home/clock.py": "from . import player\n",
            "shadow_home/player.py": "",
        },
    )

    assert breaches(root) == []


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("engine/store/_a.py", "import homeassistant.core\n", "the engine imports homeassistant.core"),
        ("engine/store/_a.py", "from voluptuous import Schema\n", "the engine imports voluptuous"),
        ("engine/store/_a.py", "def f():\n    import probatio\n", "the engine imports probatio"),
        ("engine/store/_a.py", "import custom_components.homeiq.const\n", "by its full name"),
        ("engine/store/_a.py", "from homeiq_engine.model import Event\n", "by its full name"),
        ("engine/store/_a.py", "from ..mining import mine\n", "room store imports homeiq.engine.mining"),
        ("engine/store/_a.py", "from .. import mining\n", "room store imports homeiq.engine.mining"),
        ("engine/store/_a.py", "from ..cycle import run\n", "stands above every room"),
        ("engine/store/_a.py", "from ..model._event import Event\n", "an inner file of homeiq.engine.model"),
        ("engine/store/_a.py", "from ...const import DOMAIN\n", "the engine imports homeiq.const"),
        ("engine/store/__init__.py", "from ._store import Store\n", "names its __all__"),
        ("engine/model/_a.py", "from ..ports import Clock\n", "model imports homeiq.engine.ports"),
        ("engine/ports.py", "from .store import Store\n", "ports imports homeiq.engine.store"),
        ("engine/load.py", "from .store import Store\n", "only cycle and runtime see several"),
        ("adapters/bus.py", "from ..runtime import start\n", "an adapter imports homeiq.runtime"),
        ("adapters/bus.py", "from .. import sensor\n", "an adapter imports homeiq.sensor"),
        ("adapters/bus.py", "from .. import start\n", "an adapter imports homeiq,"),
        ("adapters/bus.py", "from ..engine.store._store import Store\n", "an inner file of homeiq.engine.store"),
        ("runtime.py", "from .services import register\n", "the composition root imports homeiq.services"),
        ("runtime.py", "from . import sensor\n", "the composition root imports homeiq.sensor"),
        ("const.py", "from .runtime import start\n", "const imports homeiq.runtime"),
        ("sensor.py", "from .engine.store import _store\n", "an inner file of homeiq.engine.store"),
        ("sensor.py", "from .shadow_home import player\n", "only inside the confined child"),
        ("sensor.py", "from __future__ import annotations\n", "imports __future__"),
        ("sensor.py", "from .... import beyond\n", "imports .... beyond the integration"),
        ("sensor.py", "a = 1\n" * (FILE_MAX_LINES + 1), f"a file has at most {FILE_MAX_LINES}"),
        ("__init__.py", "a = 1\n" * (INIT_MAX_LINES + 1), f"has at most {INIT_MAX_LINES}"),
    ],
)
def test_a_breach_is_told(tmp_path: Path, name: str, text: str, told: str) -> None:
    """Each rule, broken once in an otherwise faultless tree, gives exactly one line that names file and rule."""
    frame = {
        "__init__.py": "",
        "const.py": "",
        "runtime.py": "",
        "services.py": "",
        "sensor.py": "",
        "adapters/__init__.py": "",
        "engine/__init__.py": "",
        "engine/ports.py": "",
        "engine/cycle.py": "",
        "engine/model/__init__.py": "__all__ = []\n",
        "engine/model/_event.py": "",
        "engine/store/__init__.py": "__all__ = []\n",
        "engine/store/_store.py": "",
        "engine/mining/__init__.py": "__all__ = []\n",
        "shadow_home/__init__.py": "",
        "shadow_home/player.py": "",
    }

    found = breaches(_write(tmp_path, frame | {name: text}))

    assert len(found) == 1
    assert found[0].startswith(f"{name}:")
    assert told in found[0]
