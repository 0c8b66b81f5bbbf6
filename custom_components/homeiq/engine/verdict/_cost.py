"""Check that a template is provably cheap to compile and not obviously dear to render."""

from collections.abc import Sequence
from typing import Final

from jinja2 import nodes

from ._estimate import TEXT, UNKNOWN, CostlyError, Estimate, Kind
from ._expressions import Expressions

_MAX_LOOPS: Final = 2
_MAX_ROUNDS: Final = 100_000
_ROUNDS_UNKNOWN: Final = 100
_ROUNDS_ALL_STATES: Final = 1_000
# Characters written by constants; and by values of unknown length, each taken as a thousand.
_MAX_WRITTEN: Final = 5_000_000
_MAX_GUESSED: Final = 1_000_000_000

_FORBIDDEN: Final[dict[type[nodes.Node], tuple[str, str]]] = {
    nodes.Include: ("import", "Other templates are not included."),
    nodes.Import: ("import", "Other templates are not imported."),
    nodes.FromImport: ("import", "Other templates are not imported."),
    nodes.Extends: ("import", "Other templates are not extended."),
    nodes.Block: ("recursion", "Blocks can contain themselves."),
}


def check_cost(template: nodes.Template) -> None:
    """Refuse a template that is not provably small. Raises CostlyError for the first reason found."""
    try:
        _Statements(template).check()
    except RecursionError:
        raise CostlyError("template_too_deep", "The template is nested too deeply.") from None


class _Statements:
    """Walk the statements with the loops around them."""

    def __init__(self, template: nodes.Template) -> None:
        """Find the macros; they are walked where they are used."""
        self._template = template
        self._expressions = Expressions()
        self._expressions.macros = {macro.name: macro for macro in template.find_all(nodes.Macro)}
        self._expressions.on_macro = self._macro
        self._loops = 0
        self._rounds = 1.0
        self._written = self._guessed = 0.0
        self._open_macros: list[str] = []

    def check(self) -> None:
        """Walk everything twice: what a name can be is known only when all its assignments have been seen."""
        for _ in range(2):
            self._written = self._guessed = 0.0
            self._block(self._template.body)
            for macro in self._expressions.macros.values():
                self._macro(macro)

    def _block(self, statements: Sequence[nodes.Node]) -> None:
        for statement in statements:
            self._statement(statement)

    def _statement(self, node: nodes.Node) -> None:
        self._expressions.spend()
        if (forbidden := _FORBIDDEN.get(type(node))) is not None:
            raise CostlyError(*forbidden)
        match node:
            case nodes.For():
                self._for(node)
            case nodes.Assign():
                self._assign(node)
            case nodes.AssignBlock():
                self._block(node.body)
                self._filter_of_block(node.filter)
                self._bind(node.target, TEXT)
            case nodes.FilterBlock():
                self._block(node.body)
                self._filter_of_block(node.filter)
            case nodes.Output():
                for each in node.nodes:
                    self._emit(self._expressions.of(each))
            case nodes.Macro():
                pass  # walked where it is used
            case nodes.Expr():
                self._expressions.of(node)
            case _:
                self._block(list(node.iter_child_nodes()))

    def _for(self, node: nodes.For) -> None:
        if node.recursive:
            raise CostlyError("recursion", "A loop calls itself.")
        if self._loops >= _MAX_LOOPS:
            raise CostlyError("loops", f"Loops are nested more than {_MAX_LOOPS} deep.")
        source = self._expressions.of(node.iter)
        before = self._rounds
        self._rounds *= _rounds(node.iter, source)
        if self._rounds > _MAX_ROUNDS:
            raise CostlyError("loops", f"A loop may run more than {_MAX_ROUNDS} times.")
        self._loops += 1
        self._bind(node.target, UNKNOWN if source.kind is Kind.UNKNOWN else Estimate(size=min(1_000.0, source.size)))
        if node.test is not None:
            self._expressions.of(node.test)
        self._block(node.body)
        self._loops -= 1
        self._rounds = before
        self._block(node.else_)

    def _assign(self, node: nodes.Assign) -> None:
        value = self._expressions.of(node.node)
        if self._loops and _times_used(node.target, node.node) > 1:
            raise CostlyError("growth", "A value grows with every round of a loop.")
        if self._loops:
            self._emit(value)
        self._bind(node.target, value)

    def _bind(self, target: nodes.Node, value: Estimate) -> None:
        match target:
            case nodes.Name():
                self._expressions.assign(target.name, value)
            case nodes.Tuple():
                for each in target.items:
                    self._bind(each, UNKNOWN)
            case _:
                pass  # a namespace's attribute is unknown wherever it is read

    def _emit(self, value: Estimate) -> None:
        if value.constant:
            self._written += value.size * self._rounds
        elif self._loops:
            self._guessed += value.size * self._rounds
        if self._written > _MAX_WRITTEN or self._guessed > _MAX_GUESSED:
            raise CostlyError("template_size", "The template can write too much.")

    def _filter_of_block(self, node: nodes.Filter | None) -> None:
        if node is not None:
            self._expressions.filter_of_block(node)

    def _macro(self, macro: nodes.Macro) -> None:
        if macro.name in self._open_macros:
            raise CostlyError("recursion", f"The macro {macro.name} calls itself.")
        self._open_macros.append(macro.name)
        for argument in macro.args:
            self._bind(argument, UNKNOWN)
        self._block(macro.body)
        self._open_macros.pop()


def _rounds(source: nodes.Node, value: Estimate) -> float:
    if value.kind is Kind.SEQUENCE and isinstance(source, nodes.Call):
        return max(1.0, value.size)
    return _ROUNDS_ALL_STATES if _label(source) == ("states",) else _ROUNDS_UNKNOWN


def _times_used(target: nodes.Node, expression: nodes.Node) -> int:
    """Return how often an expression that joins or adds uses what it is assigned to."""
    if not any(
        True for _ in expression.find_all((nodes.Concat, nodes.Add, nodes.Mul, nodes.Filter))
    ) and not isinstance(expression, nodes.Concat | nodes.Add | nodes.Mul):
        return 0
    uses = [*expression.find_all((nodes.Name, nodes.Getattr)), expression]
    name = _label(target)
    return sum(1 for use in uses if _label(use) == name)


def _label(node: nodes.Node) -> tuple[str, ...]:
    """Return the name of a variable or of a namespace's attribute."""
    match node:
        case nodes.Name():
            return (node.name,)
        case nodes.NSRef():
            return (node.name, node.attr)
        case nodes.Getattr(node=nodes.Name(name=name), attr=attribute):
            return (name, attribute)
        case _:
            return ()
