"""Judge a draft: run every check, let none of them pass by failing, and grade."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
import logging
from typing import Final

from ..model import Finding, Json, Level, Verdict
from ..ports import AutomationValidator, LiveHome
from . import (
    _check_danger,
    _check_entities,
    _check_loops,
    _check_places,
    _check_platforms,
    _check_repeats,
    _check_service_data,
    _check_services,
    _check_structure,
    _check_wording,
    _lint,
    _read,
)
from ._outcome import Check
from ._read import Reading
from ._walk import survey

_LOGGER = logging.getLogger(__name__)

HOME_ASSISTANT: Final = "home_assistant"
# What a draft does when it runs, the rendering of its templates included, is not tried.
REPLAY: Final = "replay"
_SUMMARY: Final = "summary"
_MAX_FINDINGS: Final = 100

CHECKS: Final[tuple[tuple[str, Check], ...]] = (
    (_check_structure.CHECK, _check_structure.check),
    (_check_wording.CHECK, _check_wording.check),
    (_check_platforms.CHECK, _check_platforms.check),
    (_check_repeats.CHECK, _check_repeats.check),
    (_check_entities.CHECK, _check_entities.check),
    (_check_services.CHECK, _check_services.check),
    (_check_places.CHECK, _check_places.check),
    (_check_service_data.CHECK, _check_service_data.check),
    (_check_danger.CHECK, _check_danger.check),
    (_check_loops.CHECK, _check_loops.check),
)


async def judge_reading(reading: Reading, home: LiveHome, validator: AutomationValidator | None) -> Verdict:
    """Judge what was read from a text in a child, together with what the reading objected to."""
    if reading.automation is None:
        others = (_lint.CHECK, *(name for name, _ in CHECKS), HOME_ASSISTANT, REPLAY)
        return Verdict(findings=reading.findings, checks_run=(_read.READING,), checks_not_run=others)
    verdict = await judge(reading.automation, home, validator, linted=reading.findings)
    return Verdict(
        findings=verdict.findings,
        checks_run=(_read.READING, *verdict.checks_run),
        checks_not_run=verdict.checks_not_run,
    )


async def judge(
    draft_config: Mapping[str, Json],
    home: LiveHome,
    validator: AutomationValidator | None,
    *,
    linted: Sequence[Finding] | None = None,
    checks: Sequence[tuple[str, Check]] = CHECKS,
) -> Verdict:
    """Return the graded result of all checks on a draft; a check that fails blocks the draft.

    ``linted`` holds the lint's findings if the draft's templates were linted in a child already; else they are linted
    here, which is for drafts of our own making. Home Assistant's validator is asked only about a draft whose templates
    passed, because it would run them. A check that the home could not answer in full is listed as not run.
    """
    panel = _Panel()
    if linted is None:
        panel.findings_of(_lint.CHECK, lambda: _lint.lint(draft_config))
    else:
        panel.keep(_lint.CHECK, linted)
    unsafe = any(finding.level is Level.BLOCKED for finding in panel.findings)
    # In a thread: it parses the draft's templates, of which there may be hundreds.
    surveyed = await asyncio.to_thread(panel.guard, "survey", lambda: survey(draft_config))
    for name, check in checks if surveyed is not None else ():
        outcome = panel.guard(name, lambda check=check: check(surveyed, home))  # type: ignore[misc]
        # Each takes a few milliseconds where there are hundreds of actions.
        await asyncio.sleep(0)
        if outcome is not None:
            panel.keep(name, outcome.findings, complete=outcome.complete)
    if validator is None or unsafe or surveyed is None:
        panel.not_run.append(HOME_ASSISTANT)
    else:
        await panel.ask(validator, draft_config)
    panel.not_run.append(REPLAY)
    return panel.verdict()


class _Panel:
    """Collect findings, and turn a check that fails into one."""

    def __init__(self) -> None:
        """Start with nothing."""
        self.findings: list[Finding] = []
        self.run: list[str] = []
        self.not_run: list[str] = []

    def keep(self, name: str, findings: Sequence[Finding], *, complete: bool = True) -> None:
        """Note a check's findings and whether it could run in full."""
        self.findings.extend(findings)
        (self.run if complete else self.not_run).append(name)

    def guard[T](self, name: str, action: Callable[[], T]) -> T | None:
        """Return what the action gives; note a blocking finding and return None if it raises."""
        try:
            return action()
        except Exception:  # whatever a check trips over, the draft must not pass for it
            _LOGGER.exception("Check %s failed on a draft", name)
            self._failed(name)
            return None

    def findings_of(self, name: str, action: Callable[[], Sequence[Finding]]) -> None:
        """Keep the findings that the action gives."""
        findings = self.guard(name, action)
        if findings is not None:
            self.keep(name, findings)

    async def ask(self, validator: AutomationValidator, config: Mapping[str, Json]) -> None:
        """Keep Home Assistant's own objections."""
        try:
            self.keep(HOME_ASSISTANT, await validator.validate(config))
        except Exception:  # as above
            _LOGGER.exception("Home Assistant's validator failed on a draft")
            self._failed(HOME_ASSISTANT)

    def _failed(self, name: str) -> None:
        message = f"The check {name} failed, so the draft cannot be trusted; the log says why."
        self.findings.append(Finding(check=name, code="check_failed", level=Level.BLOCKED, message=message))
        self.not_run.append(name)

    def verdict(self) -> Verdict:
        """Return the verdict, the gravest findings first."""
        ranked = sorted(self.findings, key=lambda finding: -finding.level.rank)
        if (left_out := len(ranked) - _MAX_FINDINGS) > 0:
            message = f"{left_out} more findings, none graver than the last, are left out."
            ranked[_MAX_FINDINGS:] = [
                Finding(check=_SUMMARY, code="more_findings", level=Level.NOTE, message=message),
            ]
        return Verdict(findings=tuple(ranked), checks_run=tuple(self.run), checks_not_run=tuple(self.not_run))
