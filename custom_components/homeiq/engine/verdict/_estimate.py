"""Describe what is known of a template expression without computing it, and what each filter makes of it."""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

MAX_SIZE: Final = 1_000_000
"""The longest text or list that an expression may make, in characters or items."""


class CostlyError(Exception):
    """Report work that is not provably small, with a reason code."""

    def __init__(self, code: str, message: str) -> None:
        """Keep the code and the message."""
        super().__init__(message)
        self.code = code


class Kind(Enum):
    """Tell what a value is, as far as multiplying it is concerned."""

    NUMBER = auto()
    SEQUENCE = auto()
    UNKNOWN = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Bound an expression's value.

    ``size`` bounds the characters of a text or the items of a list with their contents. ``value`` is the text or number
    where it is known. ``constant`` tells that Home Assistant would compute it while compiling. ``power`` is the degree
    in the unknown values.
    """

    kind: Kind = Kind.UNKNOWN
    size: float = 1_000.0
    value: str | int | float | None = None
    constant: bool = False
    power: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what is too big; raises CostlyError."""
        if self.size > MAX_SIZE:
            raise CostlyError("template_size", f"The template can make a text of more than {MAX_SIZE} characters.")

    @property
    def number(self) -> int | float | None:
        """Return the value if it is a known number."""
        return None if isinstance(self.value, str) else self.value

    @property
    def text(self) -> str | None:
        """Return the value if it is a known text."""
        return self.value if isinstance(self.value, str) else None


UNKNOWN: Final = Estimate()
NUMBER: Final = Estimate(kind=Kind.NUMBER, size=40)
TEXT: Final = Estimate(kind=Kind.SEQUENCE)


def merged(first: Estimate, second: Estimate) -> Estimate:
    """Return what holds for a value that is one of two."""
    return Estimate(
        kind=first.kind if first.kind is second.kind else _looser(first.kind, second.kind),
        size=max(first.size, second.size),
        value=first.value if first.value == second.value else None,
        constant=first.constant and second.constant,
        power=max(first.power, second.power),
    )


def _looser(first: Kind, second: Kind) -> Kind:
    return Kind.SEQUENCE if Kind.SEQUENCE in {first, second} else Kind.UNKNOWN
