"""Read the integration's Python as facts: which texts, keys and names its code uses. Nothing is run."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from pathlib import Path
from types import ModuleType

from homeassistant import const as ha_const

type Node = ast.AST
type Function = ast.FunctionDef | ast.AsyncFunctionDef

_MAX_DEPTH = 8  # names that stand for names; deeper is a cycle


@dataclass(frozen=True, kw_only=True, slots=True)
class Use:
    """One key used by the code: `value` is None where it is only known at run time; `where` is file and line."""

    value: str | None
    where: str
    call: ast.Call | None = None


@dataclass(kw_only=True)
class Code:
    """All Python files of an integration, parsed, with the strings that their names stand for."""

    root: Path
    trees: dict[str, ast.Module] = field(default_factory=dict)
    constants: dict[str, ast.expr] = field(default_factory=dict)
    functions: dict[str, Function] = field(default_factory=dict)
    classes: dict[str, ast.ClassDef] = field(default_factory=dict)
    _scopes: dict[int, Function] = field(default_factory=dict)

    @classmethod
    def read(cls, root: Path) -> Code:
        """Parse every file below `root`; raise SyntaxError for one that is no Python."""
        code = cls(root=root)
        for path in sorted(root.rglob("*.py")):
            tree = ast.parse(path.read_text(), str(path))
            code.trees[path.relative_to(root).as_posix()] = tree
            code._learn(tree)
        return code

    def _learn(self, tree: ast.Module) -> None:
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                self.functions.setdefault(node.name, node)
                # ast.walk goes from the outside in, so the innermost function is the one that stays.
                self._scopes.update((id(inner), node) for inner in ast.walk(node) if inner is not node)
            elif isinstance(node, ast.ClassDef):
                self.classes.setdefault(node.name, node)
                for member, value in _assignments(node.body):
                    self.constants.setdefault(f"{node.name}.{member}", value)
            elif isinstance(node, ast.TypeAlias):
                self.constants.setdefault(node.name.id, node.value)
        for name, value in _assignments(tree.body):
            self.constants.setdefault(name, value)

    @cached_property
    def literals(self) -> frozenset[str]:
        """All strings that stand in the code, those of Home Assistant's own constants that it imports included."""
        found: set[str] = set()
        for tree in self.trees.values():
            for node in ast.walk(tree):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    found.add(node.value)
                elif isinstance(node, ast.ImportFrom) and node.level == 0:
                    found.update(v for a in node.names if isinstance(v := getattr(ha_const, a.name, None), str))
        return frozenset(found)

    @cached_property
    def _calls(self) -> dict[str, list[ast.Call]]:
        """All calls by the name of what is called; looking through the whole code for each name takes minutes."""
        found: dict[str, list[ast.Call]] = {}
        for tree in self.trees.values():
            for node in ast.walk(tree):
                if isinstance(node, ast.Call):
                    found.setdefault(called(node), []).append(node)
        return found

    @cached_property
    def placeholders(self) -> frozenset[str]:
        """All names that can fill a placeholder in a text: strings and the names of keyword arguments."""
        keywords = {
            node.arg
            for tree in self.trees.values()
            for node in ast.walk(tree)
            if isinstance(node, ast.keyword) and node.arg is not None
        }
        return self.literals | keywords

    # -- strings --------------------------------------------------------------------------------------------------

    def strings(self, node: Node | None, depth: int = 0) -> list[str]:  # noqa: PLR0911 - one for each kind of node
        """Return the strings that an expression can be, as far as the code tells; [] where it tells nothing.

        Names are followed to constants, local variables, loop variables and what callers pass; the attribute of a
        caught error to what its classes can hold there.
        """
        if node is None or depth > _MAX_DEPTH:
            return []
        match node:
            case ast.Constant(value=str(text)):
                return [text]
            case ast.Name():
                return self._named(node, depth)
            case ast.Attribute(value=inner, attr="value") if texts := self.strings(inner, depth + 1):
                return texts
            case ast.Attribute(value=ast.Name(id=owner), attr=attr):
                if constant := self.constants.get(f"{owner}.{attr}"):
                    return self.strings(constant, depth + 1)
                return self._of_error(node, owner, attr)
            case ast.IfExp(body=one, orelse=two) | ast.BoolOp(values=[one, two]):
                return self.strings(one, depth + 1) + self.strings(two, depth + 1)
            case ast.JoinedStr(values=parts):
                return ["".join(texts) for texts in product(*(self.strings(part, depth + 1) for part in parts))]
            case ast.FormattedValue(value=value):
                return self.strings(value, depth + 1)
            case ast.Subscript(value=ast.Name(id="Literal"), slice=ast.Tuple(elts=elements)):
                return [text for element in elements for text in self.strings(element, depth + 1)]
        return []

    def _named(self, name: ast.Name, depth: int) -> list[str]:
        scope = self._scopes.get(id(name))
        if scope is not None:
            local = list(_local_values(scope, name.id))
            if not local and (place := _parameter(scope, name.id)) is not None:
                local = list(self._passed(scope, name.id, place))
            if local:
                return list(dict.fromkeys(text for value in local for text in self.strings(value, depth + 1)))
        if name.id in self.constants:
            return self.strings(self.constants[name.id], depth + 1)
        known = getattr(ha_const, name.id, None)
        return [known] if isinstance(known, str) else []

    def _passed(self, function: Function, parameter: str, place: int) -> Iterator[ast.expr]:
        """Yield what the integration's own calls of a function pass for a parameter."""
        is_method = bool(function.args.args) and function.args.args[0].arg in ("self", "cls")
        for node in self._calls.get(function.name, ()):
            by_name = isinstance(node.func, ast.Name)
            if by_name != is_method and (by_name or _is_own(node.func)):
                value = argument(node, parameter, place - is_method)
                if value is not None:
                    yield value

    def _of_error(self, node: ast.Attribute, variable: str, attr: str) -> list[str]:
        """Return what an attribute of a caught or passed error can be.

        Looked at are the classes that fit and that the code raises: their class attribute, and the values that the
        annotation of their constructor's parameter allows.
        """
        scope = self._scopes.get(id(node))
        kinds = set(_error_types(scope, variable)) if scope is not None else set()
        found: list[str] = []
        for name in self.classes if kinds else ():
            lineage = self.class_scopes(name)
            if kinds & {one.name for one in lineage} and any(self.calls({name})):
                attributes = (self.constants.get(f"{one.name}.{attr}") for one in lineage)
                found.extend(self.strings(next((value for value in attributes if value is not None), None)))
                for one in lineage:
                    found.extend(self._allowed(one, attr))
        return list(dict.fromkeys(found))

    def _allowed(self, owner: ast.ClassDef, parameter: str) -> Iterator[str]:
        """Yield the strings that a constructor's parameter can be by its annotation, a Literal or an Enum."""
        for statement in owner.body:
            if isinstance(statement, ast.FunctionDef) and statement.name == "__init__":
                given = statement.args
                for arg in (*given.posonlyargs, *given.args, *given.kwonlyargs):
                    if arg.arg == parameter and isinstance(arg.annotation, ast.Name | ast.Subscript):
                        yield from self.strings(arg.annotation)
                        if isinstance(arg.annotation, ast.Name) and arg.annotation.id in self.classes:
                            for member, value in _assignments(self.classes[arg.annotation.id].body):
                                yield from self.strings(value) if not member.startswith("_") else ()

    def where(self, file: str, node: ast.expr | ast.stmt) -> str:
        """Return file and line of a node."""
        return f"{file}:{node.lineno}"

    def uses(self, file: str, value: ast.expr, call: ast.Call | None = None) -> Iterator[Use]:
        """Yield a use for each string that an expression can be; one without a value when it is not known."""
        where = self.where(file, value)
        texts = self.strings(value)
        if not texts:
            yield Use(value=None, where=where, call=call)
        for text in texts:
            yield Use(value=text, where=where, call=call)

    # -- calls, schemas and classes -------------------------------------------------------------------------------

    def calls(self, names: set[str]) -> Iterator[tuple[str, ast.Call]]:
        """Yield each call of a function or method of these names, with its file."""
        for file, tree in self.trees.items():
            for node in ast.walk(tree):
                if isinstance(node, ast.Call) and called(node) in names:
                    yield file, node

    def enclosing(self, node: Node) -> Function | None:
        """Return the innermost function around a node."""
        return self._scopes.get(id(node))

    def schema_fields(self, node: Node | None, seen: set[str] | None = None) -> dict[str, ast.expr | None] | None:
        """Return the keys of a voluptuous schema given as an expression; None when none can be found.

        Names of constants, local variables, functions and methods of the integration are followed to where they
        are made. The value of a key is the expression on its right, where there is one.
        """
        if node is None:
            return None
        # Each name once in all: along each way to it there are as many ways on as the code has calls.
        seen = set() if seen is None else seen
        found: dict[str, ast.expr | None] = {}
        values: dict[int, ast.expr] = {}
        nested: set[int] = set()
        for inner in ast.walk(node):
            if isinstance(inner, ast.Call) and called(inner) == "section":
                nested.update(id(part) for part in ast.walk(inner) if part is not inner)
            if isinstance(inner, ast.Dict):
                values.update({id(k): v for k, v in zip(inner.keys, inner.values, strict=True) if k is not None})
        for inner in ast.walk(node):
            if id(inner) in nested:
                continue
            if isinstance(inner, ast.Call) and called(inner) in ("Required", "Optional") and inner.args:
                found.update({text: values.get(id(inner)) for text in self.strings(inner.args[0])})
            name = _name(inner)
            if name is not None and name not in seen:
                seen.add(name)
                for target in self._made(inner, name):
                    found.update(self.schema_fields(target, seen) or {})
        return found or None

    def _made(self, node: Node, name: str) -> list[Node]:
        scope = self._scopes.get(id(node))
        local = list(_local_values(scope, name)) if scope is not None else []
        if local:
            return list(local)
        target = self.constants.get(name) or self.functions.get(name)
        return [] if target is None or isinstance(target, ast.Constant) else [target]

    def class_scopes(self, name: str) -> list[ast.ClassDef]:
        """Return a class and those of its bases that stand in the integration."""
        node = self.classes.get(name)
        if node is None:
            return []
        scopes = [node]
        for base in node.bases:
            plain = base.value if isinstance(base, ast.Subscript) else base
            if isinstance(plain, ast.Name):
                scopes.extend(self.class_scopes(plain.id))
        return scopes

    def base_names(self, name: str) -> set[str]:
        """Return the last part of the names of all bases of a class, those in Home Assistant included."""
        names: set[str] = set()
        for scope in self.class_scopes(name):
            for base in scope.bases:
                plain = base.value if isinstance(base, ast.Subscript) else base
                names.add(plain.attr if isinstance(plain, ast.Attribute) else _name(plain) or "")
        return names


def called(call: ast.Call) -> str:
    """Return the last part of the called name: `async_abort` for `self.async_abort(...)`."""
    if isinstance(call.func, ast.Attribute):
        return call.func.attr
    return call.func.id if isinstance(call.func, ast.Name) else ""


def argument(call: ast.Call, name: str, position: int | None = None) -> ast.expr | None:
    """Return an argument by its keyword or its position; None when the call has none."""
    for keyword in call.keywords:
        if keyword.arg == name:
            return keyword.value
    if position is not None and 0 <= position < len(call.args):
        return call.args[position]
    return None


def elements(node: Node | None) -> list[ast.expr]:
    """Return the elements of a tuple, list or set written out; [] for anything else."""
    return node.elts if isinstance(node, ast.Tuple | ast.List | ast.Set) else []


def domains_of(module: ModuleType) -> Path:
    """Return the folder of the core integrations beside a Home Assistant module."""
    assert module.__file__ is not None
    return Path(module.__file__).parent / "components"


def _assignments(body: list[ast.stmt]) -> Iterator[tuple[str, ast.expr]]:
    for statement in body:
        if isinstance(statement, ast.Assign):
            for target in statement.targets:
                if isinstance(target, ast.Name):
                    yield target.id, statement.value
        elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name) and statement.value:
            yield statement.target.id, statement.value


def _local_values(scope: Function, name: str) -> Iterator[ast.expr]:
    """Yield what a function assigns to a variable, in statements and in loops over rows that are written out."""
    for node in ast.walk(scope):
        match node:
            case ast.Assign(targets=[ast.Name(id=target)], value=value) if target == name:
                yield value
            case ast.AnnAssign(target=ast.Name(id=target), value=ast.expr() as value) if target == name:
                yield value
            case ast.For(target=ast.Name(id=target), iter=rows) if target == name:
                yield from elements(rows)
            case ast.For(target=ast.Tuple(elts=targets), iter=rows):
                for position, part in enumerate(targets):
                    if isinstance(part, ast.Name) and part.id == name:
                        yield from (row[position] for row in map(elements, elements(rows)) if position < len(row))


def _parameter(scope: Function, name: str) -> int | None:
    """Return the position of a parameter; -1 for one that is passed by keyword only, None for no parameter."""
    names = [arg.arg for arg in (*scope.args.posonlyargs, *scope.args.args)]
    if name in names:
        return names.index(name)
    return -1 if any(arg.arg == name for arg in scope.args.kwonlyargs) else None


def _is_own(func: ast.expr) -> bool:
    return isinstance(func, ast.Attribute) and isinstance(func.value, ast.Name) and func.value.id in ("self", "cls")


def _error_types(scope: Function, variable: str) -> Iterator[str]:
    """Yield the names of the classes that a variable can be of: caught as such, or annotated."""
    for node in ast.walk(scope):
        if isinstance(node, ast.ExceptHandler) and node.name == variable:
            kinds = elements(node.type) if isinstance(node.type, ast.Tuple) else [node.type]
            yield from (kind.id for kind in kinds if isinstance(kind, ast.Name))
        elif isinstance(node, ast.arg) and node.arg == variable and isinstance(node.annotation, ast.Name):
            yield node.annotation.id


def _name(node: Node) -> str | None:
    if isinstance(node, ast.Name):
        return node.id
    return node.attr if isinstance(node, ast.Attribute) and _is_own(node) else None
