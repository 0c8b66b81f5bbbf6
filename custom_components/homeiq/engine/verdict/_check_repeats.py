"""Check that what is repeated comes to an end."""

from collections.abc import Iterator, Mapping
from typing import Final

from jinja2 import nodes

from ..model import Finding, Json, Level
from ..ports import LiveHome
from ._outcome import Outcome
from ._templates import UnparsableError, is_template, join, parse
from ._walk import Survey, items, mappings_in

CHECK: Final = "repeats"

# Home Assistant stops a while or until after 10,000 rounds, and counts to whatever it is told.
_MANY: Final = 10_000


def check(survey: Survey, _home: LiveHome) -> Outcome:
    """Block a repetition whose condition never changes; ask about one of more than 10,000 rounds."""
    return Outcome(tuple(finding for path, repeat in _repeats(survey.config) for finding in _judged(repeat, path)))


def _repeats(config: Json) -> Iterator[tuple[str, Mapping[str, Json]]]:
    for path, each in mappings_in(config):
        if isinstance(repeat := each.get("repeat"), Mapping):
            yield join(path, "repeat"), repeat


def _judged(repeat: Mapping[str, Json], path: str) -> Iterator[Finding]:
    for key, meaning in (("while", "for ever or never"), ("until", "once or for ever")):
        conditions = [item for _, item in items(repeat.get(key), "")]
        if conditions and all(_never_changes(condition) for condition in conditions):
            message = f"The condition of this repetition never changes, so it runs {meaning}."
            yield Finding(
                check=CHECK, code="constant_condition", level=Level.BLOCKED, message=message, path=join(path, key)
            )
    if (count := _number(repeat.get("count"))) is not None and count > _MANY:
        message = f"This is repeated {count:.0f} times."
        yield Finding(
            check=CHECK,
            code="many_repeats",
            level=Level.NEEDS_CONFIRMATION,
            message=message,
            path=join(path, "count"),
        )


def _number(value: Json) -> float | None:
    try:
        return float(value) if isinstance(value, int | float | str) else None
    except ValueError:
        return None


def _never_changes(condition: Json) -> bool:
    """Return whether a condition is a constant, be it bare or a template condition."""
    if isinstance(condition, Mapping):
        return condition.get("condition") == "template" and _never_changes(condition.get("value_template"))
    if not isinstance(condition, str):
        return isinstance(condition, bool)
    if not is_template(condition):
        return True
    try:
        tree = parse(condition)
    except UnparsableError:
        return False  # the lint has said so
    if any(each.name == "random" for each in tree.find_all(nodes.Filter)):
        return False
    return next(tree.find_all((nodes.Name, nodes.Import, nodes.FromImport, nodes.Include)), None) is None
