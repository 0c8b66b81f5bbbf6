"""Parse templates, and find them in a configuration; nothing is ever compiled or rendered."""

from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from jinja2 import Environment, TemplateSyntaxError, nodes

from ..model import Json

MAX_TEMPLATE: Final = 20_000

# Never used to compile: compiling folds constants, which is the attack. The extensions are those of Home Assistant.
_ENVIRONMENT: Final = Environment(extensions=["jinja2.ext.loopcontrols", "jinja2.ext.do"], autoescape=False)  # noqa: S701


class UnparsableError(Exception):
    """Report that a template has an error or is too big, with a reason code."""

    def __init__(self, code: str, message: str) -> None:
        """Keep the code and the message."""
        super().__init__(message)
        self.code = code


def is_template(text: str) -> bool:
    """Return whether Home Assistant would take the text for a template."""
    return "{" in text and ("{{" in text or "{%" in text or "{#" in text)


def holds_template(value: Json) -> bool:
    """Return whether there is a template anywhere in the value."""
    return next(templates_in(value), None) is not None


def templates_in(value: Json, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield the path and the text of every template in a value, keys included."""
    match value:
        case str():
            if is_template(value):
                yield path, value
        case list():
            for index, item in enumerate(value):
                yield from templates_in(item, join(path, str(index)))
        case None | bool() | int() | float():
            return
        case _:
            for key, item in value.items():
                yield from templates_in(key, path)
                yield from templates_in(item, join(path, key))


def join(path: str, part: str) -> str:
    """Return the path to a part of what stands at a path."""
    return f"{path}/{part}" if path else part


@lru_cache(maxsize=256)
def parse(text: str) -> nodes.Template:
    """Return the syntax tree of a template. Raises UnparsableError."""
    if len(text) > MAX_TEMPLATE:
        raise UnparsableError("template_too_long", f"The template has more than {MAX_TEMPLATE} characters.")
    try:
        return _ENVIRONMENT.parse(text)
    except TemplateSyntaxError as error:
        raise UnparsableError("template_syntax", f"The template has an error: {error.message}") from None
    except RecursionError:
        raise UnparsableError("template_too_deep", "The template is nested too deeply.") from None
    except (ValueError, OverflowError) as error:
        raise UnparsableError("template_value", f"A value in the template cannot be read: {error}") from None
