"""Check the rules of the house: who may import whom, and how large a file may grow.

usage: python script/checks/import_rules.py [INTEGRATION_DIR]

Imports go: platforms, services, websocket -> runtime -> adapters -> doors of engine rooms -> ports -> model.
Nothing is imported or run; the files are parsed, so imports inside functions and under TYPE_CHECKING count too.
Prints one line for each breach; exit 0 without a breach, 1 with one, 2 for wrong usage.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
import sys
from typing import override

INTEGRATION = Path(__file__).resolve().parents[2] / "custom_components" / "homeiq"

ENGINE_THIRD_PARTIES = frozenset(
    {
        "aiosqlite",
        "influxdb_client",
        "jinja2",
        "numpy",
        "orjson",
        "RestrictedPython",
        "sklearn",
        "ulid_transform",
        "urllib3",
        "yaml",
    }
)
"""All that the engine may import beside the standard library and itself; urllib3 for the errors influxdb_client lets out."""

SEES_SEVERAL_ROOMS = frozenset({("engine", "cycle"), ("engine", "jobs")})
"""Engine files that may look into several rooms; they stand above all rooms."""

ROOMLESS = frozenset({"cycle", "jobs", "load", "ports"})
"""Files at the engine's root that are no rooms."""

ROOT_FOUNDATIONS = frozenset({"const"})
"""Files at the integration's root that adapters may import; all others there stand above them."""

ABOVE_RUNTIME = frozenset(
    {
        *("backup", "config_flow", "diagnostics", "llm", "panel", "services", "system_health", "websocket_api"),
        *("binary_sensor", "button", "calendar", "event", "notify", "number", "select", "sensor", "switch", "text"),
        *("time", "todo", "update"),
    }
)
"""What Home Assistant calls; the composition root and what it is made of know nothing of these."""

INIT_MAX_LINES = 150
FILE_MAX_LINES = 450

type Module = tuple[str, ...]
"""A module as its path below the integration: ("engine", "store", "_writer"); the integration itself is ()."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Import:
    """One import in one file: `inside` is set for modules of the integration, `outside` names all others."""

    line: int
    inside: Module | None
    outside: str

    @override
    def __str__(self) -> str:
        """Return the imported module as a reader would name it."""
        return self.outside if self.inside is None else ".".join(("homeiq", *self.inside))


def breaches(integration: Path = INTEGRATION) -> list[str]:
    """Return a line for each breach of a rule, in the order of the files; [] when all rules hold."""
    modules = {_module(integration, path): path for path in sorted(integration.rglob("*.py"))}
    found: list[str] = []
    for module, path in modules.items():
        shown = path.relative_to(integration).as_posix()
        text = path.read_text()
        found.extend(f"{shown}: {problem}" for problem in _size_breaches(module, path, text))
        for imported in _imports(ast.parse(text, str(path)), module, path, modules):
            found.extend(f"{shown}:{imported.line}: {problem}" for problem in _import_breaches(module, imported))
    return list(dict.fromkeys(found))


def _size_breaches(module: Module, path: Path, text: str) -> Iterator[str]:
    lines = len(text.splitlines())
    if module == () and lines > INIT_MAX_LINES:
        yield f"{lines} lines; the integration's __init__.py has at most {INIT_MAX_LINES}"
    if lines > FILE_MAX_LINES:
        yield f"{lines} lines; a file has at most {FILE_MAX_LINES}"
    if path.stem == "__init__" and _room(module) and "__all__" not in text:
        yield "a room's __init__.py is its door and names its __all__"


def _import_breaches(importer: Module, imported: Import) -> Iterator[str]:
    if imported.inside is None:
        yield from _outside_breaches(importer, imported)
        return
    target = imported.inside
    if problem := _inner_breach(importer, target):
        yield problem
    if importer[:1] == ("engine",):
        yield from _engine_breaches(importer, imported, target)
    elif importer[:1] == ("adapters",) and target[:1] not in (("adapters",), ("engine",)):
        if not target or target[0] not in ROOT_FOUNDATIONS:
            yield f"an adapter imports {imported}, which stands above it"
    elif importer == ("runtime",) and (not target or target[0] in ABOVE_RUNTIME):
        yield f"the composition root imports {imported}, which stands above it"
    elif importer == ("const",) and target[:1] != ("engine",):
        yield f"const imports {imported}; it stands below everything but the engine"
    if target[:1] == ("shadow_home",) and importer[:1] != ("shadow_home",):
        yield f"{imported} runs only inside the confined child and is imported by nothing else"


def _outside_breaches(importer: Module, imported: Import) -> Iterator[str]:
    top = imported.outside.split(".")[0]
    if imported.outside.startswith("."):
        yield f"imports {imported} beyond the integration"
    elif imported.outside == "__future__":
        yield "imports __future__; Python 3.14 needs none of it"
    elif top in ("custom_components", "homeiq_engine"):
        yield f"imports {imported} by its full name; imports inside the integration are relative"
    elif importer[:1] == ("engine",) and top not in sys.stdlib_module_names and top not in ENGINE_THIRD_PARTIES:
        yield f"the engine imports {imported}; it may use the standard library and {', '.join(sorted(ENGINE_THIRD_PARTIES, key=str.lower))}"


def _inner_breach(importer: Module, target: Module) -> str | None:
    for depth, part in enumerate(target):
        if part.startswith("_") and importer[:depth] != target[:depth]:
            return f"imports {'.'.join(('homeiq', *target[: depth + 1]))}, an inner file of {'.'.join(('homeiq', *target[:depth]))}; use its door"
    return None


def _engine_breaches(importer: Module, imported: Import, target: Module) -> Iterator[str]:
    if target[:1] != ("engine",):
        yield f"the engine imports {imported}, which stands above it"
        return
    if importer in SEES_SEVERAL_ROOMS:
        return
    mine, theirs = _room(importer), _room(target)
    if importer == ("engine", "ports") and theirs != "model":
        yield f"ports imports {imported}; it stands on model alone"
    elif mine == "model" and theirs != "model":
        yield f"model imports {imported}; it stands on nothing"
    elif target in SEES_SEVERAL_ROOMS:
        yield f"imports {imported}, which stands above every room"
    elif theirs is not None and theirs not in ("model", mine):
        who = "the engine's root" if mine is None else f"room {mine}"
        yield f"{who} imports {imported}; rooms are siblings, only cycle and runtime see several"


def _room(module: Module) -> str | None:
    """Return the engine room of a module; None for what is not in a room (ports, cycle, all but the engine)."""
    if module[:1] != ("engine",) or len(module) < 2 or module[1] in ROOMLESS:
        return None
    return module[1]


def _module(integration: Path, path: Path) -> Module:
    parts = path.relative_to(integration).with_suffix("").parts
    return parts[:-1] if parts[-1] == "__init__" else parts


def _imports(tree: ast.Module, module: Module, path: Path, known: dict[Module, Path]) -> Iterator[Import]:
    package = module if path.stem == "__init__" else module[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(line=node.lineno, inside=None, outside=alias.name)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield Import(line=node.lineno, inside=None, outside=node.module or "")
        elif isinstance(node, ast.ImportFrom):
            if node.level > len(package) + 1:
                yield Import(line=node.lineno, inside=None, outside="." * node.level + (node.module or ""))
                continue
            base = package[: len(package) - node.level + 1] + tuple(
                (node.module or "").split(".") if node.module else ()
            )
            for alias in node.names:
                # `from .store import X`: X is a module below when there is such a file, else a name of `store`.
                below = (*base, alias.name)
                yield Import(line=node.lineno, inside=below if below in known else base, outside="")


def main(arguments: list[str]) -> int:
    """Print the breaches; return the exit code."""
    if len(arguments) > 1:
        print("usage: python script/checks/import_rules.py [INTEGRATION_DIR]", file=sys.stderr)
        return 2
    found = breaches(Path(arguments[0]).resolve() if arguments else INTEGRATION)
    for line in found:
        print(line)
    print(f"import rules: {len(found)} breaches" if found else "import rules: hold")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
