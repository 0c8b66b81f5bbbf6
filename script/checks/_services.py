"""Check services.yaml against the code, the texts and the icons."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from homeassistant.helpers.selector import validate_selector
import probatio
import yaml

from ._code import Code, argument, called
from ._texts import Texts

_SERVICE_KEYS = {"fields", "target"}
_FIELD_KEYS = {"advanced", "default", "example", "filter", "required", "selector"}
_REGISTERS = {
    # function: where the service's name and its schema stand among the arguments
    "async_register": (1, 3),
    "async_register_admin_service": (2, 4),
}


def load_services(path: Path) -> Texts:
    """Return services.yaml; raise OSError or ValueError where there is none."""
    try:
        loaded = yaml.safe_load(path.read_text())
    except yaml.YAMLError as err:
        raise ValueError(str(err)) from err
    if not isinstance(loaded, dict):
        raise TypeError("not a mapping of services")
    return loaded


def check_services(code: Code, services: Texts, texts: Texts, icons: Texts) -> Iterator[str]:
    """Yield what is wrong with services.yaml and with the services' texts and icons."""
    names, drawn = texts.get("services", {}), icons.get("services", {})
    for service, description in services.items():
        fields, sections = _flatten(description or {})
        yield from _shape_problems(service, description or {}, fields)
        yield from _text_problems(service, fields, sections, names.get(service))
        if "service" not in drawn.get(service, {}):
            yield f"{service}: icons.json has no icon for it"
        yield from _select_problems(service, fields, texts.get("selector", {}))
    yield from (
        f"{name}: en.json has texts for it, services.yaml has not" for name in sorted(names.keys() - services.keys())
    )
    yield from (
        f"{name}: icons.json has an icon for it, services.yaml has not"
        for name in sorted(drawn.keys() - services.keys())
    )
    yield from _unused_selectors(code, services, texts.get("selector", {}))
    yield from _code_problems(code, services)


def _flatten(description: Texts) -> tuple[Texts, set[str]]:
    """Return the fields of a service, those inside sections included, and the names of the sections."""
    fields: Texts = {}
    sections: set[str] = set()
    for name, field in (description.get("fields") or {}).items():
        if isinstance(field, dict) and "fields" in field:
            sections.add(name)
            fields.update(field["fields"])
        else:
            fields[name] = field
    return fields, sections


def _shape_problems(service: str, description: Texts, fields: Texts) -> Iterator[str]:
    yield from (f"{service}: unknown key {key}" for key in sorted(description.keys() - _SERVICE_KEYS))
    for name, field in fields.items():
        if not isinstance(field, dict):
            yield f"{service}.{name}: must be a mapping"
            continue
        yield from (f"{service}.{name}: unknown key {key}" for key in sorted(field.keys() - _FIELD_KEYS))
        if "selector" not in field:
            yield f"{service}.{name}: has no selector"
            continue
        try:
            validate_selector(field["selector"])
        except probatio.Invalid as err:
            yield f"{service}.{name}: selector: {err}"


def _text_problems(service: str, fields: Texts, sections: set[str], texts: Texts | None) -> Iterator[str]:
    if texts is None:
        yield f"{service}: en.json has no texts for it"
        return
    yield from (
        f"services.{service}.{key}: is missing in en.json" for key in ("name", "description") if key not in texts
    )
    given = texts.get("fields", {})
    for name in fields:
        for key in ("name", "description"):
            if key not in given.get(name, {}):
                yield f"services.{service}.fields.{name}.{key}: is missing in en.json"
    yield from (
        f"services.{service}.fields.{n}: services.yaml has no such field" for n in sorted(given.keys() - fields.keys())
    )
    named = texts.get("sections", {}).keys()
    yield from (f"services.{service}.sections.{n}: is missing in en.json" for n in sorted(sections - named))
    yield from (f"services.{service}.sections.{n}: services.yaml has no such section" for n in sorted(named - sections))


def _selects(fields: Texts) -> Iterator[tuple[str, list[Any]]]:
    for field in fields.values():
        select = ((field or {}).get("selector") or {}).get("select") if isinstance(field, dict) else None
        if isinstance(select, dict) and "translation_key" in select:
            yield select["translation_key"], select.get("options", [])


def _select_problems(service: str, fields: Texts, selectors: Texts) -> Iterator[str]:
    for key, options in _selects(fields):
        given = selectors.get(key, {}).get("options", {})
        wanted = [option["value"] if isinstance(option, dict) else option for option in options]
        yield from (f"{service}: selector.{key}.options.{o} is missing in en.json" for o in wanted if o not in given)
        yield from (f"{service}: selector.{key}.options.{o} is no option" for o in given if o not in wanted)


def _unused_selectors(code: Code, services: Texts, selectors: Texts) -> Iterator[str]:
    used = {key for description in services.values() for key, _ in _selects(_flatten(description or {})[0])}
    yield from (
        f"selector.{key}: is used by no service and nowhere in the code"
        for key in sorted(selectors.keys() - used)
        if key not in code.literals
    )


def _code_problems(code: Code, services: Texts) -> Iterator[str]:
    registered: set[str] = set()
    for file, call in code.calls(set(_REGISTERS)):
        if called(call) == "async_register" and not _on_services(call):
            continue
        name_at, schema_at = _REGISTERS[called(call)]
        names = code.strings(argument(call, "service", name_at))
        registered.update(names)
        # In a loop over a table one call registers many services, and the schema is not that of each.
        known = code.schema_fields(argument(call, "schema", schema_at)) if len(names) == 1 else None
        for name in names:
            if name not in services:
                yield f"{name}: is registered at {file}:{call.lineno}, services.yaml has not got it"
            elif known is not None:
                yield from _field_problems(name, services[name] or {}, set(known), f"{file}:{call.lineno}")
    for name, description in services.items():
        if name not in registered and name not in code.literals:
            yield f"{name}: is registered nowhere in the code"
        for field in _flatten(description or {})[0]:
            if field not in code.literals:
                yield f"{name}.{field}: is read nowhere in the code"


def _field_problems(name: str, description: Texts, known: set[str], where: str) -> Iterator[str]:
    told = set(_flatten(description)[0])
    if "target" in description:
        told |= {"area_id", "device_id", "entity_id", "floor_id", "label_id"} & known
    yield from (
        f"{name}.{field}: the schema at {where} has it, services.yaml has not" for field in sorted(known - told)
    )
    yield from (f"{name}.{field}: the schema at {where} has it not" for field in sorted(told - known))


def _on_services(call: ast.Call) -> bool:
    """Tell `hass.services.async_register(...)` from the registration of panels, views and the like."""
    return isinstance(call.func, ast.Attribute) and (
        (isinstance(call.func.value, ast.Attribute) and call.func.value.attr == "services")
        or (isinstance(call.func.value, ast.Name) and call.func.value.id == "services")
    )
