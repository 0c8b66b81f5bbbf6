"""Bound what filters, tests, methods and functions of templates make of their arguments."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
import re
from typing import Final

from ._estimate import NUMBER, TEXT, UNKNOWN, CostlyError, Estimate, Kind
from ._regex import RiskyPatternError, competing_quantifiers

MAX_WIDTH: Final = 200
_MAX_RANGE: Final = 100_000  # Home Assistant's own bound
_MAX_DIGITS: Final = 30
_MAX_STEPS: Final = 20_000_000
_MAX_COMPETING: Final = 3

# Home Assistant's filters and Jinja's whose work is in proportion to what they get.
_TO_NUMBER: Final = frozenset(
    [
        "abs",
        "acos",
        "add",
        "asin",
        "atan",
        "atan2",
        "average",
        "as_timestamp",
        "bitwise_and",
        "bitwise_or",
        "bitwise_xor",
        "bool",
        "clamp",
        "contains",
        "cos",
        "count",
        "float",
        "int",
        "is_number",
        "length",
        "log",
        "max",
        "median",
        "min",
        "multiply",
        "ord",
        "sin",
        "sqrt",
        "statistical_mode",
        "sum",
        "tan",
        "wordcount",
    ]
)
_LINEAR_TEXT: Final = frozenset(
    [
        "base64_decode",
        "base64_encode",
        "capitalize",
        "dictsort",
        "filesizeformat",
        "flatten",
        "from_hex",
        "items",
        "list",
        "lower",
        "md5",
        "ordinal",
        "reverse",
        "safe",
        "sha1",
        "sha256",
        "sha512",
        "shuffle",
        "slugify",
        "sort",
        "string",
        "striptags",
        "timestamp_custom",
        "timestamp_local",
        "timestamp_utc",
        "title",
        "trim",
        "truncate",
        "typeof",
        "unique",
        "upper",
    ]
)
_LINEAR_OTHER: Final = frozenset(
    [
        "apply",
        "as_datetime",
        "as_function",
        "as_local",
        "as_timedelta",
        "combine",
        "d",
        "default",
        "difference",
        "first",
        "from_json",
        "groupby",
        "iif",
        "intersect",
        "is_defined",
        "last",
        "map",
        "random",
        "reject",
        "rejectattr",
        "remap",
        "select",
        "selectattr",
        "symmetric_difference",
        "union",
        "unpack",
        "version",
        "wrap",
    ]
)
_ESCAPING: Final = frozenset(
    {"e", "escape", "forceescape", "pprint", "to_json", "tojson", "urlencode", "urlize", "xmlattr"}
)
_MAX_ESCAPED: Final = 12  # characters for one
_WIDENING: Final = frozenset({"center", "indent", "wordwrap", "batch", "slice"})
_REGEX: Final = frozenset({"regex_findall", "regex_findall_index", "regex_match", "regex_replace", "regex_search"})
_REGEX_TESTS: Final = frozenset({"match", "search"})
_DIGITS: Final = re.compile(r"\d{4,}|\*")
_FIELD_DIGITS: Final = re.compile(r"\{[^{}]*\d{4,}[^{}]*\}|\{[^{}]*\{")
_WIDE_METHODS: Final = frozenset({"center", "ljust", "rjust", "zfill", "expandtabs", "to_bytes"})
RISKY_METHODS: Final = frozenset({"ljust", "rjust", "zfill", "expandtabs", "to_bytes", "format_map", "translate"})

type Arguments = tuple[Sequence[Estimate], Mapping[str, Estimate]]
type Rule = Callable[[str, Estimate, Arguments], Estimate]


def argument(arguments: Arguments, position: int, name: str) -> Estimate | None:
    """Return one argument, given by position or by name, None if it was left out."""
    positional, named = arguments
    return positional[position] if position < len(positional) else named.get(name)


def apply_filter(name: str, subject: Estimate, arguments: Arguments) -> Estimate:
    """Return what a filter makes of its subject. Raises CostlyError."""
    constant = subject.constant and all(each.constant for each in (*arguments[0], *arguments[1].values()))
    return replace(_filtered(name, subject, arguments, constant=constant), constant=constant)


def _filtered(name: str, subject: Estimate, arguments: Arguments, *, constant: bool) -> Estimate:
    if (rule := _RULES.get(name)) is not None:
        return rule(name, subject, arguments)
    if name in {"map", "select", "reject", "selectattr", "rejectattr"}:
        return _indirect(name, subject, arguments)
    if name in _TO_NUMBER:
        return NUMBER
    if name in _LINEAR_TEXT:
        return replace(TEXT, size=max(subject.size, 100))
    if name in _LINEAR_OTHER or not constant:
        others = sum(each.size for each in (*arguments[0], *arguments[1].values()))
        return replace(UNKNOWN, size=subject.size + others)
    raise CostlyError("constant_work", f"The filter {name} on a constant is not known to be cheap.")


def _indirect(name: str, subject: Estimate, arguments: Arguments) -> Estimate:
    """Judge the filter or test that another filter applies to each item."""
    skipped = 1 if name in {"selectattr", "rejectattr"} else 0
    positional = arguments[0][skipped:]
    if positional:
        inner = positional[0].text
        if inner is None:
            raise CostlyError("computed_name", f"The filter {name} applies something whose name is computed.")
        rest = (positional[1:], arguments[1])
        item = replace(subject, value=None)
        return apply_filter(inner, item, rest) if name == "map" else apply_test(inner, item, rest)
    return replace(TEXT, size=subject.size)


def apply_test(name: str, subject: Estimate, arguments: Arguments) -> Estimate:
    """Return what a test makes of its subject: a truth value. Raises CostlyError."""
    if name in _REGEX_TESTS:
        _regex(name, subject, arguments)
    return replace(NUMBER, constant=subject.constant)


def _regex(name: str, subject: Estimate, arguments: Arguments) -> Estimate:
    pattern = argument(arguments, 0, "find")
    if pattern is None or pattern.text is None:
        raise CostlyError("regex_not_constant", f"The pattern of {name} is not a constant text.")
    try:
        competing = competing_quantifiers(pattern.text)
    except RiskyPatternError as error:
        raise CostlyError("regex", f"The pattern {pattern.text[:60]!r} may take for ever: {error}.") from None
    steps = subject.size**competing if subject.constant else 0
    if competing > _MAX_COMPETING or steps > _MAX_STEPS:
        raise CostlyError("regex", f"The pattern {pattern.text[:60]!r} may take for ever: too many wide repetitions.")
    if name != "regex_replace":
        return replace(TEXT, size=subject.size)
    replacement = argument(arguments, 1, "replace")
    return replace(TEXT, size=subject.size * (1 + (replacement.size if replacement is not None else 0)))


def _replace(_name: str, subject: Estimate, arguments: Arguments) -> Estimate:
    old, new = argument(arguments, 0, "old"), argument(arguments, 1, "new")
    if old is None or new is None:
        return replace(TEXT, size=subject.size)
    shortest = len(old.text) if old.text is not None else 0
    growth = new.size / shortest if shortest else 1 + new.size
    return replace(TEXT, size=subject.size * max(1.0, growth))


def _join(_name: str, subject: Estimate, arguments: Arguments) -> Estimate:
    separator = argument(arguments, 0, "d")
    return replace(TEXT, size=subject.size * (1 + (separator.size if separator is not None else 0)))


def _escape(_name: str, subject: Estimate, _arguments: Arguments) -> Estimate:
    return replace(TEXT, size=subject.size * _MAX_ESCAPED)


def _widen(name: str, subject: Estimate, arguments: Arguments) -> Estimate:
    """Bound what pads or cuts to a width: the width must be a known, small number."""
    width = 0.0
    for each in (*arguments[0][:1], *(arguments[1].get(key) for key in ("width", "linecount", "slices"))):
        if each is None:
            continue
        if each.number is None or abs(each.number) > MAX_WIDTH:
            raise CostlyError("width", f"The width given to {name} is not a number up to {MAX_WIDTH}.")
        width = max(width, abs(each.number))
    extra = sum(each.size for each in (*arguments[0][1:], *arguments[1].values()))
    return replace(TEXT, size=subject.size * (1 + (width if name == "indent" else 0)) + width + extra)


def _percent_filter(_name: str, subject: Estimate, arguments: Arguments) -> Estimate:
    return percent(subject, sum(each.size for each in (*arguments[0], *arguments[1].values())))


def percent(template: Estimate, inserted: float) -> Estimate:
    """Bound ``'%5.1f' % value``: the format must be known and its widths small. Raises CostlyError."""
    if template.text is None or _DIGITS.search(template.text):
        raise CostlyError("format", "A format is computed, or has a width of more than three digits.")
    return replace(TEXT, size=template.size * 10 + inserted * max(1, template.text.count("%")) + 1000)


def _round(_name: str, _subject: Estimate, arguments: Arguments) -> Estimate:
    digits, method = argument(arguments, 0, "precision"), argument(arguments, 1, "method")
    known = digits is None or (digits.number is not None and abs(digits.number) <= _MAX_DIGITS)
    if not known and (method is not None or (digits is not None and digits.constant)):
        # Rounding up and down computes 10 ** digits.
        raise CostlyError("round", f"The number of digits given to round is not a number up to {_MAX_DIGITS}.")
    return NUMBER


def _pack(name: str, subject: Estimate, arguments: Arguments) -> Estimate:
    layout = argument(arguments, 0, "format_string")
    if layout is None or layout.text is None or _DIGITS.search(layout.text):
        raise CostlyError(
            "format", f"The layout given to {name} is computed, or has a count of more than three digits."
        )
    return replace(TEXT, size=subject.size + 1000 * len(layout.text))


def _attribute(_name: str, subject: Estimate, arguments: Arguments) -> Estimate:
    name = argument(arguments, 0, "name")
    if name is None or name.text is None:
        raise CostlyError("computed_name", "The name of an attribute is computed.")
    if name.text.startswith("_") or name.text in RISKY_METHODS or name.text in METHODS:
        raise CostlyError("attribute", f"The attribute {name.text[:60]!r} is not read.")
    return replace(UNKNOWN, size=subject.size)


_RULES: Final[Mapping[str, Rule]] = {
    "attr": _attribute,
    "format": _percent_filter,
    "join": _join,
    "pack": _pack,
    "unpack": _pack,
    "replace": _replace,
    "round": _round,
    **dict.fromkeys(_ESCAPING, _escape),
    **dict.fromkeys(_WIDENING, _widen),
    **dict.fromkeys(_REGEX, _regex),
}


def _format_method(_name: str, subject: Estimate, arguments: Arguments) -> Estimate:
    if subject.text is None or _FIELD_DIGITS.search(subject.text):
        raise CostlyError("format", "A format is computed, nested, or has a width of more than three digits.")
    inserted = sum(each.size for each in (*arguments[0], *arguments[1].values()))
    return replace(TEXT, size=subject.size * 10 + inserted * max(1, subject.text.count("{")) + 1000)


def _join_method(name: str, subject: Estimate, arguments: Arguments) -> Estimate:
    items = argument(arguments, 0, "iterable") or UNKNOWN
    return _join(name, items, ([subject], {}))


def _refuse(name: str, _subject: Estimate, _arguments: Arguments) -> Estimate:
    raise CostlyError("attribute", f"The method {name} is not called.")


METHODS: Final[Mapping[str, Rule]] = {
    "format": _format_method,
    "format_map": _refuse,
    "join": _join_method,
    "replace": _replace,
    "translate": _refuse,
    **dict.fromkeys(_WIDE_METHODS, _widen),
}
"""The methods of texts and numbers that can make much out of little."""


def apply_function(name: str, arguments: Arguments) -> Estimate:
    """Return what a global function gives. Raises CostlyError."""
    if name == "lipsum":
        raise CostlyError("lipsum", "Filler text is not made.")
    if name == "range":
        return _range(arguments[0])
    if name in {"pack", "unpack"} and arguments[0]:
        return _pack(name, arguments[0][0], (arguments[0][1:], arguments[1]))
    if name in _TO_NUMBER:
        return NUMBER
    if name.startswith("state") or name in _LINEAR_TEXT:
        # states('…') and state_attr('…') give texts, which a multiplication would repeat.
        return TEXT
    return UNKNOWN


def _range(arguments: Sequence[Estimate]) -> Estimate:
    numbers = [each.number for each in arguments]
    if not numbers or any(number is None for number in numbers):
        # At most 100,000 by Home Assistant's own rule; taken as a thousand, which nesting still multiplies.
        return TEXT
    known = [int(number) for number in numbers if number is not None]
    start, stop, step = (0, known[0], 1) if len(known) == 1 else (known[0], known[1], known[2] if len(known) > 2 else 1)
    size = len(range(start, stop, step)) if step and abs(stop) < 2**60 and abs(start) < 2**60 else _MAX_RANGE + 1
    if size > _MAX_RANGE:
        raise CostlyError("range", f"A range has more than {_MAX_RANGE} numbers.")
    return Estimate(kind=Kind.SEQUENCE, size=size)
