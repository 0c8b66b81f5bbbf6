"""Home Assistant's validator speaks in findings, never raises, and leaves no trace of a mere draft."""

import asyncio
import threading
from typing import Any

from custom_components.homeiq.adapters.automation_host import HassAutomationValidator
from custom_components.homeiq.engine.model import Level
from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers.template import TemplateEnvironment
from homeassistant.setup import async_setup_component
import pytest

SOUND: dict[str, Any] = {
    "alias": "x",
    "triggers": [{"trigger": "time", "at": "07:00:00"}],
    "actions": [{"action": "light.turn_on", "target": {"entity_id": "light.hall"}}],
}


async def test_a_sound_automation_meets_no_objection(hass: HomeAssistant) -> None:
    assert await HassAutomationValidator(hass).validate(SOUND) == ()


@pytest.mark.parametrize(
    ("changes", "code", "path"),
    [
        ({"triggers": [{"trigger": "cron"}]}, "failed_triggers", "triggers"),
        ({"conditions": [{"condition": "moon"}]}, "failed_conditions", "conditions"),
        ({"actions": [{"device_id": "a", "domain": "light", "type": "turn_on"}]}, "failed_actions", "actions"),
        ({"mode": "parallelx"}, "failed_schema", ""),
        ({"id": 5}, "failed_schema", ""),
        ({"triggers": [{"trigger": "state", "entity_id": 42}]}, "failed_schema", ""),
        ({"use_blueprint": {"path": "../../secrets.yaml", "input": {}}}, "failed_blueprint", "use_blueprint"),
    ],
)
async def test_an_objection_blocks_and_names_the_part(
    hass: HomeAssistant, changes: dict[str, Any], code: str, path: str
) -> None:
    (finding,) = await HassAutomationValidator(hass).validate(SOUND | changes)
    assert (finding.check, finding.level) == ("home_assistant", Level.BLOCKED)
    assert (finding.code, finding.path) == (code, path)
    assert finding.message.startswith("Home Assistant refuses the automation: ")
    assert len(finding.message) <= 500


async def test_outdated_syntax_in_a_draft_raises_no_repair_issue(hass: HomeAssistant) -> None:
    assert await async_setup_component(hass, "light", {})
    issues = ir.async_get(hass)
    ir.async_create_issue(
        hass,
        "homeassistant",
        "deprecated_of_old",
        is_fixable=False,
        severity=ir.IssueSeverity.WARNING,
        translation_key="deprecated_yaml",
    )
    outdated = {"trigger": "light.turned_on", "target": {"entity_id": "light.hall"}, "options": {"behavior": "any"}}
    assert await HassAutomationValidator(hass).validate(SOUND | {"triggers": [outdated]}) == ()
    assert [issue_id for _, issue_id in issues.issues] == ["deprecated_of_old"]


async def test_a_bad_draft_raises_no_repair_issue(hass: HomeAssistant) -> None:
    assert await async_setup_component(hass, "automation", {})
    await HassAutomationValidator(hass).validate(SOUND | {"triggers": [{"trigger": "cron"}]})
    await hass.async_block_till_done()
    assert not ir.async_get(hass).issues
    assert hass.states.async_entity_ids("automation") == []


async def test_templates_are_compiled_once_and_beside_the_event_loop(
    hass: HomeAssistant, monkeypatch: pytest.MonkeyPatch
) -> None:
    where: dict[str, list[bool]] = {}
    compile_ = TemplateEnvironment.compile

    def spy(self: TemplateEnvironment, source: str, *args: Any, **kwargs: Any) -> Any:
        where.setdefault(source, []).append(threading.current_thread() is threading.main_thread())
        return compile_(self, source, *args, **kwargs)

    monkeypatch.setattr(TemplateEnvironment, "compile", spy)
    texts = [f"{{{{ is_state('light.hall', '{number}') }}}}" for number in range(300)]
    assert await HassAutomationValidator(hass).validate(SOUND | {"conditions": texts}) == ()
    assert [where[text] for text in texts] == [[False]] * 300


async def test_a_template_with_an_error_is_told_of_by_home_assistant(hass: HomeAssistant) -> None:
    (finding,) = await HassAutomationValidator(hass).validate(SOUND | {"conditions": ["{{ x( }}"]})
    assert finding.code == "failed_schema"


async def test_a_validation_that_does_not_end_blocks(hass: HomeAssistant, monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(*_: object, **__: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr("homeassistant.components.automation.config.async_validate_trigger_config", never)
    monkeypatch.setattr("custom_components.homeiq.adapters.automation_host._TIMEOUT_S", 0.05)
    (finding,) = await HassAutomationValidator(hass).validate(SOUND)
    assert (finding.code, finding.level) == ("timeout", Level.BLOCKED)
