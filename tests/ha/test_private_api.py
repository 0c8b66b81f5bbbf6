"""Pin down the undocumented Home Assistant API that adapters/private.py uses; a new Home Assistant must pass this."""

import inspect
import logging
from typing import Any

from custom_components.homeiq.adapters.private import async_validate_automation
from homeassistant.components.automation import config as automation_config
from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir
from homeassistant.setup import async_setup_component
import probatio
import pytest

pytestmark = pytest.mark.contract

SOUND: dict[str, Any] = {
    "id": "1",
    "alias": "x",
    "triggers": [{"trigger": "time", "at": "07:00:00"}],
    "actions": [{"action": "light.turn_on", "target": {"entity_id": "light.hall"}}],
}


def test_the_validators_signature_is_the_known_one() -> None:
    signature = inspect.signature(automation_config._async_validate_config_item)
    assert list(signature.parameters) == ["hass", "config", "raise_on_errors", "warn_on_errors"]
    assert inspect.iscoroutinefunction(automation_config._async_validate_config_item)


def test_the_states_of_validation_are_the_known_ones() -> None:
    assert {str(status) for status in automation_config.ValidationStatus} == {
        "failed_actions",
        "failed_blueprint",
        "failed_conditions",
        "failed_schema",
        "failed_triggers",
        "ok",
    }


async def test_a_sound_automation_is_ok_and_stays_as_it_is(hass: HomeAssistant) -> None:
    old_syntax = {"alias": "x", "trigger": SOUND["triggers"], "action": SOUND["actions"]}
    before = repr(old_syntax)
    verdict = await async_validate_automation(hass, old_syntax)
    assert (verdict.status, verdict.reason) == ("ok", None)
    assert repr(old_syntax) == before


@pytest.mark.parametrize(
    ("changes", "status", "reason"),
    [
        ({"triggers": [{"trigger": "cron"}]}, "failed_triggers", "cron"),
        ({"triggers": [{"trigger": "state"}]}, "failed_triggers", "entity_id"),
        ({"conditions": [{"condition": "device", "device_id": "a", "domain": "light"}]}, "failed_conditions", "device"),
        ({"actions": [{"device_id": "a", "domain": "light", "type": "turn_on"}]}, "failed_actions", "device"),
        ({"mode": "parallelx"}, "failed_schema", "mode"),
        ({"conditions": ["{{ x( }}"]}, "failed_schema", "conditions[0]"),
        ({"use_blueprint": {"path": "no/such.yaml"}}, "failed_blueprint", "no/such.yaml"),
    ],
)
async def test_what_is_refused_has_the_known_status_and_a_reason(
    hass: HomeAssistant,
    changes: dict[str, Any],
    status: str,
    reason: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    verdict = await async_validate_automation(hass, SOUND | changes)
    assert verdict.status == status
    assert reason in str(verdict.reason)
    assert not [
        record
        for record in caplog.records
        if record.levelno >= logging.WARNING and record.name.startswith("homeassistant.components")
    ]


async def test_a_wrong_id_raises(hass: HomeAssistant) -> None:
    with pytest.raises(probatio.Invalid):
        await async_validate_automation(hass, SOUND | {"id": 5, "triggers": [{}]})


async def test_outdated_syntax_raises_the_repair_issue_that_the_validator_withdraws(hass: HomeAssistant) -> None:
    assert await async_setup_component(hass, "light", {})
    outdated = {"trigger": "light.turned_on", "target": {"entity_id": "light.hall"}, "options": {"behavior": "any"}}
    assert (await async_validate_automation(hass, SOUND | {"triggers": [outdated]})).status == "ok"
    (issue,) = ir.async_get(hass).issues
    assert issue[0] == "homeassistant"
    assert issue[1].startswith("deprecated_")


async def test_what_the_checks_of_homeiq_exist_for_is_still_accepted(hass: HomeAssistant) -> None:
    changes = {"triggers": [], "actions": [{"action": "no.service", "target": {"entity_id": "light.gone"}}]}
    assert (await async_validate_automation(hass, SOUND | changes)).status == "ok"
