"""Lint the templates of a configuration before anything else may compile them.

Home Assistant computes constant parts of a template while it checks the syntax, on its event loop and without limits:
``{{ 2 ** (10 ** 9) }}`` stops a home for 13 s, ``{{ 'a' * 500000000 }}`` takes 1.9 GB. So whatever is not provably
small is refused here, on the syntax tree alone.
"""

from collections.abc import Mapping
from typing import Final

from ..model import Finding, Json, Level
from ._cost import check_cost
from ._estimate import CostlyError
from ._templates import UnparsableError, parse, templates_in

CHECK: Final = "templates"


def lint(config: Mapping[str, Json]) -> tuple[Finding, ...]:
    """Return what speaks against each template in the configuration; every finding blocks."""
    return tuple(finding for path, text in templates_in(config) if (finding := _lint_one(path, text)) is not None)


def _lint_one(path: str, text: str) -> Finding | None:
    try:
        check_cost(parse(text))
    except (UnparsableError, CostlyError) as error:
        return Finding(check=CHECK, code=error.code, level=Level.BLOCKED, message=str(error), path=path)
    return None
