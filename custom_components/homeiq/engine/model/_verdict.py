"""Define a verdict: the graded result of every check on a draft."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """Grade a finding or a verdict, from harmless to forbidden."""

    PASS = "pass"  # noqa: S105
    NOTE = "note"
    NEEDS_CONFIRMATION = "needs_confirmation"
    BLOCKED = "blocked"

    @property
    def rank(self) -> int:
        """Return the order of severity, 0 for a pass."""
        return tuple(Level).index(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Hold one "no" of one check: a reason code, a message in English, and where in the draft it stands.

    ``path`` is a slash path into the draft (``actions/0/target/entity_id``), empty for the whole.
    """

    check: str
    code: str
    level: Level
    message: str
    path: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Hold all findings, the checks that ran and those that could not; the worst finding is the level."""

    findings: tuple[Finding, ...]
    checks_run: tuple[str, ...]
    checks_not_run: tuple[str, ...] = ()

    @property
    def level(self) -> Level:
        """Return the worst level among the findings, a pass where there are none."""
        return max((finding.level for finding in self.findings), key=lambda level: level.rank, default=Level.PASS)
