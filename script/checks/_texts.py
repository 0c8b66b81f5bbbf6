"""Check translations/*.json and icons.json against what the code shows."""

import ast
from collections.abc import Callable, Iterator
import json
from pathlib import Path
import re
from typing import Any

from homeassistant.const import Platform

from ._code import Code, Use, argument, called
from ._flows import Flow, StepTexts, flows

type Texts = dict[str, Any]

PLATFORMS = frozenset(platform.value for platform in Platform)
SECTIONS = frozenset(
    {
        "title",
        "config",
        "config_subentries",
        "device",
        "device_automation",
        "entity",
        "exceptions",
        "issues",
        "options",
        "selector",
        "services",
        "system_health",
    }
)
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_ICON = re.compile(r"mdi:[a-z0-9]+(-[a-z0-9]+)*")


def load(path: Path) -> Texts:
    """Return a JSON object; raise OSError or ValueError where there is none or a key stands twice."""

    def without_doubles(pairs: list[tuple[str, Any]]) -> Texts:
        keys = [key for key, _ in pairs]
        if doubles := sorted({key for key in keys if keys.count(key) > 1}):
            raise ValueError(f"key given twice: {', '.join(doubles)}")
        return dict(pairs)

    loaded = json.loads(path.read_text(), object_pairs_hook=without_doubles)
    if not isinstance(loaded, dict):
        raise TypeError("not an object")
    return loaded


def check_translations(code: Code, texts: Texts) -> Iterator[str]:
    """Yield what is wrong with translations/en.json."""
    yield from (f"unknown section {name}" for name in sorted(texts.keys() - SECTIONS))
    for path, text in leaves(texts):
        yield from _text_problems(path, text, code)
    known = flows(code)
    for flow in known:
        yield from _flow_problems(code, texts, flow)
    for section in ("config", "options"):
        if section in texts and not any(flow.path == (section,) for flow in known):
            yield f"{section}: the code has no such flow"
    subentries = {flow.path[1] for flow in known if len(flow.path) == 2}
    yield from _unused("config_subentries", texts.get("config_subentries", {}), subentries, code=None)
    yield from _exception_problems(code, texts.get("exceptions", {}))
    yield from _issue_problems(code, texts.get("issues", {}))
    yield from _entity_problems(code, texts.get("entity", {}))
    yield from _health_problems(code, texts.get("system_health", {}))
    yield from _selector_problems(code, texts.get("selector", {}))


def check_other_language(english: Texts, other: Texts) -> Iterator[str]:
    """Yield what a further translation has that English has not, and placeholders that differ."""
    texts = dict(leaves(english))
    for path, text in leaves(other):
        if path not in texts:
            yield f"{path}: is not in en.json"
        elif set(_PLACEHOLDER.findall(str(text))) != set(_PLACEHOLDER.findall(str(texts[path]))):
            yield f"{path}: placeholders differ from en.json"


def check_icons(code: Code, icons: Texts, texts: Texts) -> Iterator[str]:
    """Yield what is wrong with icons.json."""
    yield from (f"unknown section {name}" for name in sorted(icons.keys() - {"entity", "services"}))
    for path, text in leaves(icons):
        if not isinstance(text, str) or not (_ICON.fullmatch(text) or path.endswith(".range")):
            yield f"{path}: {text!r} is not of the form mdi:name"
    for platform, keys in icons.get("entity", {}).items():
        for key, value in keys.items():
            if key not in texts.get("entity", {}).get(platform, {}):
                yield f"entity.{platform}.{key}: no such entity text in en.json"
            if "default" not in value:
                yield f"entity.{platform}.{key}: default is missing"
    for platform, use in _entity_uses(code):
        has_class = use.call is not None and argument(use.call, "device_class") is not None
        if (
            use.value
            and use.call is not None
            and not has_class
            and use.value not in icons.get("entity", {}).get(platform, {})
        ):
            yield f"entity.{platform}.{use.value}: no icon and no device class ({use.where})"


def leaves(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each text below a node with its dotted path."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield from leaves(value, f"{path}.{key}" if path else key)
    else:
        yield path, node


def _text_problems(path: str, text: Any, code: Code) -> Iterator[str]:
    if not isinstance(text, str):
        yield f"{path}: must be text"
        return
    if not text.strip() or text != text.strip():
        yield f"{path}: is empty or has blanks around it"
    if "[%key:" in text:
        yield f"{path}: references are resolved for core only; write the text out"
    if re.search(r"</?[a-zA-Z][^>]*>", text):
        yield f"{path}: holds HTML"
    if text.count("{") != text.count("}"):
        yield f"{path}: braces do not pair"
    for name in _PLACEHOLDER.findall(text):
        if name not in code.placeholders:
            yield f"{path}: no code fills the placeholder {{{name}}}"


def _unused(path: str, texts: Texts, used: set[str], code: Code | None) -> Iterator[str]:
    """Yield the keys that the code does not use; with `code`, any string in it counts as a use."""
    for key in texts:
        if key not in used and (code is None or key not in code.literals):
            yield f"{path}.{key}: is used nowhere in the code"


def _missing(path: str, texts: Texts, uses: list[Use]) -> Iterator[str]:
    for use in uses:
        if use.value is not None and use.value not in texts:
            yield f"{path}.{use.value}: is missing (used at {use.where})"


def _values(uses: list[Use]) -> set[str]:
    return {use.value for use in uses if use.value is not None}


def _flow_problems(code: Code, texts: Texts, flow: Flow) -> Iterator[str]:
    path = ".".join(flow.path)
    node: Texts = texts
    for part in flow.path:
        node = node.get(part, {})
    if not node:
        yield f"{path}: is missing ({flow.class_name})"
    steps = node.get("step", {})
    for name, step in flow.steps.items():
        if name not in steps:
            yield f"{path}.step.{name}: is missing (shown at {step.where})"
        yield from _step_problems(code, f"{path}.step.{name}", steps.get(name, {}), step)
    yield from _unused(f"{path}.step", steps, set(flow.steps), code)
    for kind, uses in (("error", flow.errors), ("abort", flow.aborts)):
        yield from _missing(f"{path}.{kind}", node.get(kind, {}), uses)
        yield from _unused(f"{path}.{kind}", node.get(kind, {}), _values(uses), code)
    if flow.path[0] == "config_subentries":
        yield from (f"{path}.{key}: is missing" for key in ("entry_type", "initiate_flow") if key not in node)
        for source in flow.sources & {"user", "reconfigure"}:
            if source not in node.get("initiate_flow", {}):
                yield f"{path}.initiate_flow.{source}: is missing"


def _step_problems(code: Code, path: str, texts: Texts, step: StepTexts) -> Iterator[str]:
    yield from (f"{path}.menu_options.{o}: is missing" for o in step.menu if o not in texts.get("menu_options", {}))
    for option in texts.get("menu_options", {}):
        if step.menu and option not in step.menu:
            yield f"{path}.menu_options.{option}: is not in the menu at {step.where}"
    if step.fields is None:
        return
    sections = {n: v for n, v in step.fields.items() if isinstance(v, ast.Call) and called(v) == "section"}
    yield from _field_problems(path, texts, step.fields.keys() - sections.keys(), step.where)
    for name, section in sections.items():
        below = texts.get("sections", {}).get(name, {})
        if "name" not in below:
            yield f"{path}.sections.{name}.name: is missing (shown at {step.where})"
        fields = code.schema_fields(argument(section, "schema", 0))
        if fields is not None:
            yield from _field_problems(f"{path}.sections.{name}", below, set(fields), step.where)
    for name in texts.get("sections", {}):
        if name not in sections:
            yield f"{path}.sections.{name}: is not in the form at {step.where}"


def _field_problems(path: str, texts: Texts, fields: set[str], where: str) -> Iterator[str]:
    for kind in ("data", "data_description"):
        for name in sorted(fields - texts.get(kind, {}).keys()):
            yield f"{path}.{kind}.{name}: is missing (the form at {where} has the field)"
        for name in texts.get(kind, {}):
            if name not in fields:
                yield f"{path}.{kind}.{name}: the form at {where} has no such field"


def _keyword_uses(code: Code, fits: Callable[[ast.Call], bool]) -> Iterator[Use]:
    """Yield the translation keys given to calls that `fits` accepts."""
    for file, tree in code.trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and fits(node) and (key := argument(node, "translation_key")) is not None:
                yield from code.uses(file, key, node)


def _is_exception(call: ast.Call) -> bool:
    name = called(call)
    return name.endswith(("Error", "Exception", "NotReady", "Failed", "Unauthorized"))


def _exception_problems(code: Code, texts: Texts) -> Iterator[str]:
    uses = list(_keyword_uses(code, _is_exception))
    yield from _missing("exceptions", texts, uses)
    yield from _unused("exceptions", texts, _values(uses), code)
    yield from (f"exceptions.{key}.message: is missing" for key, text in texts.items() if "message" not in text)
    for use in uses:
        message = texts.get(use.value or "", {}).get("message", "")
        filled = use.call and argument(use.call, "translation_placeholders")
        if filled is None:
            names: set[str] | None = set()
        elif isinstance(filled, ast.Dict) and None not in filled.keys:
            names = {text for key in filled.keys for text in code.strings(key)}
        else:
            names = None
        if names is not None:
            for name in sorted(set(_PLACEHOLDER.findall(message)) - names):
                yield f"exceptions.{use.value}.message: {{{name}}} is not filled at {use.where}"


def _issue_problems(code: Code, texts: Texts) -> Iterator[str]:
    uses = list(_keyword_uses(code, lambda call: called(call) in ("async_create_issue", "create_issue")))
    yield from _missing("issues", texts, uses)
    yield from _unused("issues", texts, _values(uses), code)
    for key, text in texts.items():
        if "title" not in text:
            yield f"issues.{key}.title: is missing"
        if ("description" in text) == ("fix_flow" in text):
            yield f"issues.{key}: needs either a description or a fix_flow"


def _entity_uses(code: Code) -> Iterator[tuple[str, Use]]:
    """Yield the platform and translation key of each entity that names one in a way that can be read."""
    for file, tree in code.trees.items():
        of_file = next((part for part in Path(file).with_suffix("").parts if part in PLATFORMS), None)
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and (platform := _described_platform(code, node, of_file)):
                key = argument(node, "translation_key")
                for use in code.uses(file, key, node) if key is not None else ():
                    yield platform, use
            elif isinstance(node, ast.ClassDef) and of_file is not None:
                for statement in node.body:
                    match statement:
                        case (
                            ast.Assign(targets=[ast.Name(id="_attr_translation_key")], value=ast.expr() as value)
                            | ast.AnnAssign(target=ast.Name(id="_attr_translation_key"), value=ast.expr() as value)
                        ):
                            yield from ((of_file, use) for use in code.uses(file, value))


def _described_platform(code: Code, call: ast.Call, of_file: str | None) -> str | None:
    for name in (called(call), *sorted(code.base_names(called(call)))):
        if name.endswith("EntityDescription"):
            words = re.findall(r"[A-Z][a-z]*", name.removesuffix("EntityDescription"))
            platform = "_".join(word.lower() for word in words)
            return platform if platform in PLATFORMS else of_file
    return None


def _entity_problems(code: Code, texts: Texts) -> Iterator[str]:
    used: dict[str, set[str]] = {}
    for platform, use in _entity_uses(code):
        if use.value is None:
            continue
        used.setdefault(platform, set()).add(use.value)
        text = texts.get(platform, {}).get(use.value)
        if text is None:
            yield f"entity.{platform}.{use.value}: is missing (used at {use.where})"
        elif "name" not in text and not (use.call and argument(use.call, "device_class")):
            yield f"entity.{platform}.{use.value}.name: is missing (used at {use.where})"
        options = use.call and argument(use.call, "options")
        if text is not None and isinstance(options, ast.List | ast.Tuple):
            states = {state for item in options.elts for state in code.strings(item)}
            yield from (
                f"entity.{platform}.{use.value}.state.{state}: is missing (option at {use.where})"
                for state in sorted(states - text.get("state", {}).keys())
            )
    for platform, keys in texts.items():
        if platform not in PLATFORMS:
            yield f"entity.{platform}: there is no such platform"
        yield from _unused(f"entity.{platform}", keys, used.get(platform, set()), code)


def _health_problems(code: Code, texts: Texts) -> Iterator[str]:
    tree = code.trees.get("system_health.py")
    if tree is None:
        if texts:
            yield "system_health: there is no system_health.py"
        return
    keys = {
        text
        for node in ast.walk(tree)
        if isinstance(node, ast.Return) and isinstance(node.value, ast.Dict)
        for key in node.value.keys
        for text in code.strings(key)
    }
    info = texts.get("info", {})
    yield from (f"system_health.info.{key}: is missing" for key in sorted(keys - info.keys()))
    yield from _unused("system_health.info", info, keys, code)


def _selector_problems(code: Code, texts: Texts) -> Iterator[str]:
    for use in _keyword_uses(code, lambda call: called(call) == "SelectSelectorConfig"):
        if use.value is None or use.call is None:
            continue
        if use.value not in texts:
            yield f"selector.{use.value}: is missing (used at {use.where})"
            continue
        options = argument(use.call, "options")
        if isinstance(options, ast.List | ast.Tuple):
            wanted = {text for item in options.elts for text in code.strings(item)}
            given = texts[use.value].get("options", {})
            yield from (f"selector.{use.value}.options.{o}: is missing" for o in sorted(wanted - given.keys()))
