"""Ask Home Assistant itself what it thinks of an automation."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import TemplateError
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers.template import Template

from ..engine.model import Finding, Json, Level
from ..engine.verdict import HOME_ASSISTANT, templates_in
from .private import async_validate_automation

_TIMEOUT_S: Final = 10.0
_MAX_REASON: Final = 500
_PATHS: Final = {
    "failed_triggers": "triggers",
    "failed_conditions": "conditions",
    "failed_actions": "actions",
    "failed_blueprint": "use_blueprint",
}


class HassAutomationValidator:
    """Validate automations with the code that Home Assistant sets them up with."""

    def __init__(self, hass: HomeAssistant) -> None:
        """Keep the running Home Assistant."""
        self._hass = hass

    async def validate(self, config: Mapping[str, Json]) -> Sequence[Finding]:
        """Return Home Assistant's objections, all of which block; leaves no repair issue behind.

        Only for configurations whose templates passed the lint: Home Assistant compiles them on the event loop.
        """
        # They have to be kept as long as the validator may ask for them.
        compiled = await self._compiled(config)
        before = self._active_issues()
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                verdict = await async_validate_automation(self._hass, config)
        except TimeoutError:
            return (_objection("timeout", f"Home Assistant did not finish validating within {_TIMEOUT_S:.0f} s."),)
        except Exception as error:  # noqa: BLE001 - the validator raises whatever a value of the wrong type leads to
            return (_objection("failed_schema", f"{type(error).__name__}: {error}"),)
        finally:
            self._withdraw_issues(before)
            del compiled
        if verdict.status == "ok":
            return ()
        return (_objection(verdict.status, verdict.reason or "no reason given", _PATHS.get(verdict.status, "")),)

    async def _compiled(self, config: Mapping[str, Json]) -> list[Template]:
        """Compile the draft's templates in a thread: one takes 0.7 ms, and the validator finds them compiled already."""
        # Home Assistant makes its template environment at the first use.
        Template("{{ 1 }}", self._hass).ensure_valid()
        templates = [Template(text, self._hass) for _, text in templates_in(config)]
        await self._hass.async_add_executor_job(_compile, templates)
        return templates

    def _active_issues(self) -> set[tuple[str, str]]:
        return {key for key, issue in ir.async_get(self._hass).issues.items() if issue.active}

    def _withdraw_issues(self, before: set[tuple[str, str]]) -> None:
        """Delete the repair issues about outdated syntax that a mere draft has raised."""
        for domain, issue_id in self._active_issues() - before:
            if domain == "homeassistant" and issue_id.startswith("deprecated_"):
                ir.async_delete_issue(self._hass, domain, issue_id)


def _compile(templates: Sequence[Template]) -> None:
    for template in templates:
        # The validator will say what is wrong with it.
        with suppress(TemplateError):
            template.ensure_valid()


def _objection(code: str, reason: str, path: str = "") -> Finding:
    message = f"Home Assistant refuses the automation: {reason}"
    return Finding(check=HOME_ASSISTANT, code=code, level=Level.BLOCKED, message=message[:_MAX_REASON], path=path)
