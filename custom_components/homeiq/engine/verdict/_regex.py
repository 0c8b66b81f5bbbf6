"""Tell whether a regular expression can take exponential or high polynomial time; a conservative reading of its text.

A backtracking matcher takes exponential time where a repeated group can match the same text in several ways, which
needs a variable quantifier or an alternative inside it, and polynomial time of degree k where k unbounded quantifiers
compete for the same characters.
"""

from dataclasses import dataclass
import re
from typing import Final

_MAX_COUNT: Final = 1000
_FEW_REPEATS: Final = 4
_QUANTIFIER: Final = re.compile(r"(\*|\+|\?|\{(\d*)(,?)(\d*)\})[?+]?")
_GROUP_HEAD: Final = re.compile(r"\?(?:[:=!>]|<[=!]|P<\w+>|[aiLmsux-]+[:)])")
_CLASS: Final = re.compile(r"\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)
_WIDE: Final = frozenset({".", r"\D", r"\S", r"\W"})
_UNBOUNDED: Final = float("inf")


class RiskyPatternError(Exception):
    """Report that a pattern may take too long, with the reason in plain words."""


@dataclass(slots=True)
class _Atom:
    """Describe what the next quantifier would repeat."""

    wide: bool = False
    variable: bool = False
    alternatives: bool = False
    group: bool = False


@dataclass(slots=True)
class _Frame:
    """Describe an open group."""

    variable: bool = False
    alternatives: bool = False


class _Reader:
    """Read a pattern once from left to right."""

    def __init__(self, pattern: str) -> None:
        """Start at the beginning, in the group that is the whole pattern."""
        self._pattern = pattern
        self._at = 0
        self._frames = [_Frame()]
        self._atom: _Atom | None = None
        self._last_unbounded = False
        self.competing = 0

    def read(self) -> None:
        """Read all of it; raises RiskyPatternError."""
        while self._at < len(self._pattern):
            self._step(self._pattern[self._at])

    def _step(self, character: str) -> None:
        match character:
            case "(":
                self._open()
            case ")":
                self._close()
            case "|":
                self._frames[-1].alternatives = True
                self._atom = None
                self._at += 1
            case "[":
                self._character_class()
            case "\\":
                self._escape()
            case "*" | "+" | "?" | "{":
                self._quantify()
            case _:
                self._new_atom(_Atom(wide=character in _WIDE), 1)

    def _new_atom(self, atom: _Atom, length: int) -> None:
        if self._atom is not None:
            # What stands before was not quantified: it keeps quantifiers apart.
            self._last_unbounded = False
        self._atom = atom
        self._at += length

    def _open(self) -> None:
        self._at += 1
        self._atom = None
        if self._pattern.startswith("?", self._at):
            head = _GROUP_HEAD.match(self._pattern, self._at)
            if head is None:
                raise RiskyPatternError("it uses a back-reference or a conditional group")
            self._at = head.end()
            if head.group().endswith(")"):
                return
        self._frames.append(_Frame())

    def _close(self) -> None:
        if len(self._frames) == 1:
            raise RiskyPatternError("its brackets do not match")
        frame = self._frames.pop()
        self._frames[-1].variable |= frame.variable
        self._atom = _Atom(group=True, variable=frame.variable, alternatives=frame.alternatives)
        self._at += 1

    def _character_class(self) -> None:
        match = _CLASS.match(self._pattern, self._at)
        if match is None:
            raise RiskyPatternError("its brackets do not match")
        self._new_atom(_Atom(wide=match.group().startswith("[^")), len(match.group()))

    def _escape(self) -> None:
        pair = self._pattern[self._at : self._at + 2]
        if pair[1:].isdigit() and pair != "\\0":
            raise RiskyPatternError("it uses a back-reference")
        self._new_atom(_Atom(wide=pair in _WIDE), 2)

    def _quantify(self) -> None:
        match = _QUANTIFIER.match(self._pattern, self._at)
        if match is None or self._atom is None:
            self._new_atom(_Atom(), 1)
            return
        least, most = _bounds(match)
        atom, self._atom = self._atom, None
        self._at = match.end()
        if max(least, most if most != _UNBOUNDED else 0) > _MAX_COUNT:
            raise RiskyPatternError("it repeats something more than 1000 times")
        if atom.group and most > _FEW_REPEATS and (atom.variable or atom.alternatives):
            raise RiskyPatternError("it repeats a group that can itself match in several ways")
        if least == most:
            self._last_unbounded = False
            return
        self._frames[-1].variable = True
        if most > _FEW_REPEATS:
            self.competing += int(atom.wide or self._last_unbounded)
            self._last_unbounded = True


def _bounds(match: re.Match[str]) -> tuple[float, float]:
    match match.group(1):
        case "*":
            return 0, _UNBOUNDED
        case "+":
            return 1, _UNBOUNDED
        case "?":
            return 0, 1
        case _:
            # Six digits are more than allowed already, and more would be slow to read.
            least = float(match.group(2)[:6] or 0)
            if not match.group(3):
                return least, least
            return least, float(match.group(4)[:6]) if match.group(4) else _UNBOUNDED


def competing_quantifiers(pattern: str) -> int:
    """Return how many unbounded quantifiers may compete for the same characters: the degree of the matching time.

    Raises RiskyPatternError where the time may be exponential, or the pattern cannot be told to be harmless.
    """
    reader = _Reader(pattern)
    reader.read()
    return reader.competing
