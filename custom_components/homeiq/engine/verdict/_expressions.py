"""Bound the value of every expression of a template without computing more than small numbers."""

from collections.abc import Callable, Mapping
from dataclasses import replace
import operator
from typing import Final

from jinja2 import nodes

from ._estimate import NUMBER, TEXT, UNKNOWN, CostlyError, Estimate, Kind, merged
from ._filters import METHODS, RISKY_METHODS, Arguments, apply_filter, apply_function, apply_test, percent

_MAX_POWER_BITS: Final = 128
_MAX_DEGREE: Final = 16
_MAX_FACTOR: Final = 100_000
_MAX_KNOWN: Final = 2.0**127
_MAX_NODES: Final = 20_000

type Number = int | float

_ARITHMETIC: Final[Mapping[type[nodes.BinExpr], Callable[[Number, Number], Number]]] = {
    nodes.Add: operator.add,
    nodes.Sub: operator.sub,
    nodes.Mul: operator.mul,
    nodes.Div: operator.truediv,
    nodes.FloorDiv: operator.floordiv,
    nodes.Mod: operator.mod,
}


class Expressions:
    """Bound expressions; names are known as they were assigned, whatever the order of the assignments."""

    def __init__(self) -> None:
        """Start with no name assigned and all of the budget."""
        self.names: dict[str, Estimate] = {}
        self.macros: dict[str, nodes.Macro] = {}
        self.on_macro: Callable[[nodes.Macro], None] = lambda _macro: None
        self._seen = 0

    def assign(self, name: str, value: Estimate) -> None:
        """Let a name be either what it may have been before or this value."""
        self.names[name] = merged(self.names[name], value) if name in self.names else value

    def spend(self) -> None:
        """Count one node. Raises CostlyError if a template needs too many, by macros that call macros."""
        self._seen += 1
        if self._seen > _MAX_NODES:
            raise CostlyError("too_much_code", f"The template runs through more than {_MAX_NODES} pieces of code.")

    def of(self, node: nodes.Node | None) -> Estimate:
        """Return the bound of an expression. Raises CostlyError if it is not provably small."""
        if node is None:
            return UNKNOWN
        self.spend()
        match node:
            case nodes.Const():
                estimate = _constant(node.value)
            case nodes.TemplateData():
                estimate = _constant(node.data)
            case nodes.Name():
                estimate = self._name(node)
            case nodes.BinExpr():
                estimate = self._binary(node)
            case nodes.UnaryExpr():
                estimate = self._unary(node)
            case nodes.Filter() | nodes.Test():
                estimate = self._filter_or_test(node)
            case nodes.Call():
                estimate = self._call(node)
            case nodes.Getattr() | nodes.Getitem():
                estimate = self._access(node)
            case nodes.CondExpr():
                self.of(node.test)
                estimate = merged(self.of(node.expr1), self.of(node.expr2))
            case _:
                estimate = self._collection(node)
        return estimate

    def _collection(self, node: nodes.Node) -> Estimate:
        """Bound lists, tuples, dictionaries, joined texts, comparisons and the like by all that they hold."""
        parts = [self.of(child) for child in node.iter_child_nodes()]
        constant = all(part.constant for part in parts)
        if isinstance(node, nodes.Compare):
            return replace(NUMBER, constant=constant)
        value = "".join(str(part.value) for part in parts) if all(part.value is not None for part in parts) else None
        return Estimate(
            kind=Kind.SEQUENCE,
            size=sum(part.size for part in parts) + len(parts),
            value=value if isinstance(node, nodes.Concat) else None,
            constant=constant,
        )

    def _name(self, node: nodes.Name) -> Estimate:
        if node.name.startswith("_"):
            raise CostlyError("attribute", f"The name {node.name[:60]!r} is not read.")
        if node.name in self.macros:
            self.on_macro(self.macros[node.name])
            return TEXT
        return self.names.get(node.name, UNKNOWN)

    def _unary(self, node: nodes.UnaryExpr) -> Estimate:
        inner = self.of(node.node)
        if isinstance(node, nodes.Neg) and inner.number is not None:
            return replace(inner, value=-inner.number)
        return inner if isinstance(node, nodes.Pos) else replace(NUMBER, constant=inner.constant, power=inner.power)

    def _binary(self, node: nodes.BinExpr) -> Estimate:
        left, right = self.of(node.left), self.of(node.right)
        constant = left.constant and right.constant
        if isinstance(node, nodes.And | nodes.Or):
            return merged(left, right)
        if isinstance(node, nodes.Pow):
            return replace(_power(left, right), constant=constant)
        if isinstance(node, nodes.Mod) and left.kind is not Kind.NUMBER and not _is_name_of_number(left, right):
            return replace(percent(left, right.size), constant=constant)
        if isinstance(node, nodes.Mul):
            _check_repetition(left, right)
            _check_repetition(right, left)
        return replace(_arithmetic(node, left, right), constant=constant)

    def _filter_or_test(self, node: nodes.Filter | nodes.Test) -> Estimate:
        subject = self.of(node.node)
        arguments = self._arguments(node)
        return (apply_filter if isinstance(node, nodes.Filter) else apply_test)(node.name, subject, arguments)

    def filter_of_block(self, node: nodes.Filter) -> None:
        """Judge the filters of a block, whose text is not known. Raises CostlyError."""
        if isinstance(node.node, nodes.Filter):
            self.filter_of_block(node.node)
        apply_filter(node.name, TEXT, self._arguments(node))

    def _arguments(self, node: nodes.Filter | nodes.Test | nodes.Call) -> Arguments:
        positional = [self.of(each) for each in node.args]
        named = {str(each.key): self.of(each.value) for each in node.kwargs}
        for each in (node.dyn_args, node.dyn_kwargs):
            if each is not None:
                raise CostlyError("computed_arguments", "Arguments are unpacked from a value (* or **).")
        attribute = named.get("attribute")
        if attribute is not None and attribute.text is not None and attribute.text.startswith("_"):
            raise CostlyError("attribute", f"The attribute {attribute.text[:60]!r} is not read.")
        return positional, named

    def _call(self, node: nodes.Call) -> Estimate:
        arguments = self._arguments(node)
        if isinstance(node.node, nodes.Name):
            if node.node.name in self.macros:
                return self._name(node.node)
            return apply_function(node.node.name, arguments)
        if isinstance(node.node, nodes.Getattr) and (rule := METHODS.get(node.node.attr)) is not None:
            return rule(node.node.attr, self.of(node.node.node), arguments)
        callee = self.of(node.node)
        return replace(UNKNOWN, size=callee.size + sum(each.size for each in arguments[0]))

    def _access(self, node: nodes.Getattr | nodes.Getitem) -> Estimate:
        inner = self.of(node.node)
        if isinstance(node, nodes.Getattr):
            name: str | None = node.attr
        else:
            key = self.of(node.arg)
            if isinstance(node.arg, nodes.Slice):
                return replace(inner, value=None)
            name = key.text
        if name is not None and (name.startswith("_") or name in RISKY_METHODS):
            raise CostlyError("attribute", f"The attribute {name[:60]!r} is not read.")
        if name in METHODS and isinstance(node.node, nodes.Const | nodes.Concat | nodes.Name):
            raise CostlyError("attribute", f"The method {name} is taken without being called.")
        kind = Kind.SEQUENCE if name == "state" else Kind.UNKNOWN
        return Estimate(kind=kind, size=inner.size, constant=inner.constant, power=inner.power)


def _constant(value: object) -> Estimate:
    if isinstance(value, bool) or value is None:
        return replace(NUMBER, constant=True)
    if isinstance(value, int | float):
        if abs(value) > _MAX_KNOWN:
            raise CostlyError("big_constant", "A constant number is too big.")
        return Estimate(kind=Kind.NUMBER, size=40, value=value, constant=True)
    text = str(value)
    return Estimate(kind=Kind.SEQUENCE, size=len(text), value=text, constant=True)


def _is_name_of_number(left: Estimate, right: Estimate) -> bool:
    """Tell whether ``left % right`` is a remainder as far as can be seen: something unknown modulo a number."""
    return left.kind is Kind.UNKNOWN and right.kind is Kind.NUMBER and not left.constant


def _check_repetition(one: Estimate, other: Estimate) -> None:
    """Refuse what would repeat a text or list many times; raises CostlyError."""
    if one.kind is Kind.NUMBER:
        return
    if other.number is None:
        # Unknown times unknown is arithmetic in every template that is not an attack; a text is not.
        if one.kind is Kind.SEQUENCE and other.kind is not Kind.SEQUENCE:
            raise CostlyError("repetition", "A text or list is repeated a computed number of times.")
        return
    times = abs(other.number)
    limit = _MAX_FACTOR if one.kind is Kind.UNKNOWN and isinstance(other.number, int) else None
    if (limit is not None and times > limit) or (
        one.kind is Kind.SEQUENCE and one.size * times > _MAX_FACTOR and isinstance(other.number, int)
    ):
        raise CostlyError("repetition", "A text or list is repeated too often.")


def _power(base: Estimate, exponent: Estimate) -> Estimate:
    if exponent.number is None:
        raise CostlyError("power", "A power has an exponent that is not a constant.")
    size = abs(exponent.number)
    if base.number is not None:
        bits = max(1, int(abs(base.number)).bit_length()) * size
        if bits > _MAX_POWER_BITS:
            raise CostlyError("power", f"A power has more than {_MAX_POWER_BITS} bits.")
        return replace(NUMBER, value=_computed(operator.pow, base.number, exponent.number))
    if base.power * max(1, size) > _MAX_DEGREE:
        raise CostlyError("power", f"A power is of a degree above {_MAX_DEGREE}.")
    return replace(NUMBER, power=base.power * max(1, size))


def _arithmetic(node: nodes.BinExpr, left: Estimate, right: Estimate) -> Estimate:
    power = left.power + right.power if isinstance(node, nodes.Mul) else max(left.power, right.power)
    compute = _ARITHMETIC[type(node)]
    if left.number is not None and right.number is not None:
        return replace(NUMBER, value=_computed(compute, left.number, right.number), power=power)
    if isinstance(node, nodes.Add):
        both = left.text + right.text if left.text is not None and right.text is not None else None
        kind = merged(left, right).kind
        return Estimate(kind=kind, size=left.size + right.size, value=both, power=power)
    if isinstance(node, nodes.Mul) and Kind.SEQUENCE in {left.kind, right.kind}:
        times = max(abs(each.number) for each in (left, right) if each.number is not None)
        return Estimate(kind=Kind.SEQUENCE, size=left.size * times + right.size * times)
    return replace(NUMBER, power=power)


def _computed(compute: Callable[[Number, Number], Number], left: Number, right: Number) -> Number | None:
    """Return the result of small numbers, None where there is none or it is too big to be followed."""
    try:
        result = compute(left, right)
    except ArithmeticError, ValueError:
        return None
    return result if isinstance(result, int | float) and abs(result) <= _MAX_KNOWN else None
