"""The learning services answer whatever becomes of their children, and every error has words."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
import json
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

from custom_components.homeiq.const import DOMAIN
from custom_components.homeiq.engine.model import ChildError, EngineError
from custom_components.homeiq.engine.sandbox import ChildRunner
from custom_components.homeiq.runtime import HomeIQConfigEntry
from homeassistant.auth.models import User
from homeassistant.core import Context, HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
import pytest

TEXTS = json.loads(
    (Path(__file__).parents[2] / "custom_components/homeiq/translations/en.json").read_text(encoding="utf-8")
)["exceptions"]


def _errors(base: type[EngineError] = EngineError) -> Iterator[type[EngineError]]:
    for error in base.__subclasses__():
        yield error
        yield from _errors(error)


@pytest.mark.parametrize("reason", ["timeout", "memory", "cpu", "crash", "output"])
async def test_a_text_that_brings_its_reader_down_is_blocked(
    hass: HomeAssistant, entry: HomeIQConfigEntry, reason: str
) -> None:
    with patch.object(ChildRunner, "run", side_effect=ChildError("gone", reason=reason)):
        answer = await hass.services.async_call(
            DOMAIN, "validate_automation", {"text": "alias: x"}, blocking=True, return_response=True
        )
    assert answer is not None
    assert answer["level"] == "blocked"
    assert answer["automation"] is None
    assert [finding["code"] for finding in answer["findings"]] == [f"reader_{reason}"]  # type: ignore[union-attr,index,call-overload]


@pytest.mark.parametrize(
    ("service", "data"), [("validate_automation", {"text": "alias: x"}), ("generate_suggestions", {})]
)
async def test_a_child_that_cannot_be_started_is_an_error_and_no_verdict(
    hass: HomeAssistant, entry: HomeIQConfigEntry, service: str, data: dict[str, object]
) -> None:
    with (
        patch.object(ChildRunner, "run", side_effect=ChildError("no python", reason="start")),
        pytest.raises(HomeAssistantError) as failed,
    ):
        await hass.services.async_call(DOMAIN, service, data, blocking=True, return_response=True)
    assert failed.value.translation_key == "child_failed"
    assert "no python" in TEXTS["child_failed"]["message"].format(**(failed.value.translation_placeholders or {}))


async def test_a_second_run_is_told_that_one_is_under_way(hass: HomeAssistant, entry: HomeIQConfigEntry) -> None:
    """And the first one is not disturbed."""

    async def generate() -> object:
        return await hass.services.async_call(DOMAIN, "generate_suggestions", {}, blocking=True, return_response=True)

    first = asyncio.create_task(generate())
    while not entry.runtime_data.learning._cycle._running:
        await asyncio.sleep(0)
    with pytest.raises(HomeAssistantError) as busy:
        await generate()
    assert busy.value.translation_key in TEXTS
    assert await first == {"suggestions": [], "rejected": [], "days_observed": 0, "events_read": 0}


@pytest.mark.parametrize("error", sorted(set(_errors()), key=lambda error: error.__name__))
def test_every_error_of_the_engine_has_a_translated_message(error: type[EngineError]) -> None:
    assert f"{error.code}_failed" in TEXTS


async def test_a_habit_in_the_store_becomes_a_proven_suggestion(
    hass: HomeAssistant, entry: HomeIQConfigEntry, hass_admin_user: User
) -> None:
    """A light that a person turns on each morning, with its name, evidence and Home Assistant's own verdict."""
    assert await async_setup_component(hass, "light", {})
    assert await async_setup_component(hass, "automation", {})
    today = dt_util.start_of_local_day()
    chance = Random(7)
    changes = []
    for days_ago in range(1, 41):
        morning = (today - timedelta(days=days_ago)).timestamp() + (6 * 60 + 44) * 60
        changes.append((morning + chance.gauss(0, 120), "light.kitchen", "on"))
        changes.append((morning + 3_600 * chance.uniform(2, 12), "light.kitchen", "off"))
        changes.extend((morning + 1_800 * number, "sensor.power", str(number)) for number in range(30))
    hass.states.async_set("light.kitchen", "off", {"friendly_name": "Kitchen light"}, timestamp=min(changes)[0] - 60)
    for moment, entity_id, state in sorted(changes):
        attributes = {"friendly_name": "Kitchen light"} if entity_id == "light.kitchen" else {}
        context = Context(user_id=hass_admin_user.id)
        hass.states.async_set(entity_id, state, attributes, context=context, timestamp=moment)
    answer = await hass.services.async_call(
        DOMAIN,
        "generate_suggestions",
        {"days": 41, "entity_id": "light.kitchen"},
        blocking=True,
        return_response=True,
    )
    assert answer is not None
    suggestions: Any = answer["suggestions"]
    assert [each["automation"]["actions"] for each in suggestions] == [
        [{"action": "light.turn_on", "target": {"entity_id": "light.kitchen"}}]
    ]
    (suggestion,) = suggestions
    assert "Kitchen light" in suggestion["title"]
    (trigger,) = suggestion["automation"]["triggers"]
    assert "06:38:00" <= trigger["at"] <= "06:50:00"
    assert suggestion["evidence"]["days_held"] >= 38
    assert suggestion["verdict"]["level"] == "pass"
    assert suggestion["verdict"]["checks_not_run"] == ["replay"]
    assert answer["days_observed"] >= 38  # type: ignore[operator]
