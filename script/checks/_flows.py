"""Read from the code which texts its config, options and subentry flows show."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field

from ._code import Code, Node, Use, argument, called

_SHOWS_STEP = {"async_show_form", "async_show_menu", "async_show_progress"}
_ENDS_UPDATE = {"async_update_and_abort", "async_update_reload_and_abort"}
_OPTIONS_FLOWS = {"OptionsFlow", "OptionsFlowWithConfigEntry", "OptionsFlowWithReload"}
_STEP = "async_step_"


@dataclass(kw_only=True)
class Flow:
    """The texts of one flow: `path` is its place in the translations, ("config_subentries", "influxdb") for one."""

    path: tuple[str, ...]
    class_name: str
    steps: dict[str, StepTexts] = field(default_factory=dict)
    errors: list[Use] = field(default_factory=list)
    aborts: list[Use] = field(default_factory=list)
    sources: set[str] = field(default_factory=set)


@dataclass(kw_only=True)
class StepTexts:
    """What one step shows; `fields` is None where the form cannot be read from the code, {} for a form without any."""

    where: str
    fields: dict[str, ast.expr | None] | None = None
    menu: list[str] = field(default_factory=list)


def flows(code: Code) -> list[Flow]:
    """Return the flows of the integration."""
    found: list[Flow] = []
    for name in code.classes:
        bases = code.base_names(name)
        if "ConfigFlow" in bases:
            found.append(_read(code, name, ("config",)))
            for subentry, class_name in _subentry_types(code, name):
                found.append(_read(code, class_name, ("config_subentries", subentry)))
        elif bases & _OPTIONS_FLOWS:
            found.append(_read(code, name, ("options",)))
    return found


def _subentry_types(code: Code, name: str) -> Iterator[tuple[str, str]]:
    for scope in code.class_scopes(name):
        for node in ast.walk(scope):
            if isinstance(node, ast.FunctionDef) and node.name == "async_get_supported_subentry_types":
                for inner in ast.walk(node):
                    if isinstance(inner, ast.Dict):
                        for key, value in zip(inner.keys, inner.values, strict=True):
                            for text in code.strings(key):
                                if isinstance(value, ast.Name):
                                    yield text, value.id


def _read(code: Code, name: str, path: tuple[str, ...]) -> Flow:
    flow = Flow(path=path, class_name=name)
    for scope in code.class_scopes(name):
        file = next((f for f, tree in code.trees.items() if scope in ast.walk(tree)), "?")
        for method in scope.body:
            if isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef):
                if method.name.startswith(_STEP):
                    flow.sources.add(method.name.removeprefix(_STEP))
                _read_method(code, flow, file, method)
    return flow


def _read_method(code: Code, flow: Flow, file: str, method: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
    for node in ast.walk(method):
        if isinstance(node, ast.Call):
            kind = called(node)
            if kind in _SHOWS_STEP:
                _read_step(code, flow, file, method.name, node)
            elif kind == "async_abort" and (reason := argument(node, "reason")) is not None:
                flow.aborts.extend(code.uses(file, reason))
            elif kind in _ENDS_UPDATE:
                flow.aborts.extend(_update_reasons(code, file, method.name, node))
            elif kind == "_abort_if_unique_id_configured":
                error = argument(node, "error")
                flow.aborts.extend(
                    code.uses(file, error)
                    if error
                    else [Use(value="already_configured", where=f"{file}:{node.lineno}")]
                )
        flow.errors.extend(_errors(code, file, node))


def _update_reasons(code: Code, file: str, method: str, call: ast.Call) -> Iterator[Use]:
    reason = argument(call, "reason")
    if reason is not None:
        yield from code.uses(file, reason)
        return
    where = f"{file}:{call.lineno}"
    kind = "reauth_successful" if "reauth" in method else "reconfigure_successful"
    yield Use(value=kind, where=where)


def _read_step(code: Code, flow: Flow, file: str, method: str, call: ast.Call) -> None:
    step_argument = argument(call, "step_id")
    if step_argument is not None:
        names = code.strings(step_argument)
    else:
        names = [method.removeprefix(_STEP)] if method.startswith(_STEP) else []
    schema = argument(call, "data_schema")
    fields = code.schema_fields(schema) if schema is not None else {}
    menu = _menu(code, argument(call, "menu_options"))
    for name in names:
        step = flow.steps.setdefault(name, StepTexts(where=f"{file}:{call.lineno}", fields=fields, menu=menu))
        if step.fields is not None and fields is not None:
            step.fields = step.fields | fields


def _menu(code: Code, options: ast.expr | None) -> list[str]:
    if isinstance(options, ast.List | ast.Tuple):
        return [text for item in options.elts for text in code.strings(item)]
    return []


def _errors(code: Code, file: str, node: Node) -> Iterator[Use]:
    """Yield the error keys that a statement sets: `errors["base"] = X`, `errors={F: X}`, `{"base": X}` anywhere."""
    match node:
        case ast.Assign(targets=[ast.Subscript(value=ast.Name(id="errors"))], value=value):
            yield from code.uses(file, value)
        case (
            ast.Assign(targets=[ast.Name(id="errors")], value=ast.Dict(values=values))
            | ast.AnnAssign(target=ast.Name(id="errors"), value=ast.Dict(values=values))
            | ast.keyword(arg="errors", value=ast.Dict(values=values))
            | ast.Dict(keys=[ast.Constant(value="base")], values=values)
        ):
            for value in values:
                yield from code.uses(file, value)
