"""A home of a few things for the tests of the verdict."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from homeiq_engine.model import Finding, Json, Level


@dataclass(kw_only=True)
class SmallHome:
    """Know some entities, services and places; ``None`` for a set means that it cannot be known."""

    entities: frozenset[str] | None = frozenset(
        {
            "light.hall",
            "light.kitchen",
            "switch.coffee",
            "binary_sensor.motion",
            "sensor.power",
            "cover.garage_door",
            "cover.blind",
            "lock.front",
            "input_number.counter",
            "group.all_lights",
            "input_datetime.alarm",
            "sensor.bound",
            "scene.movie",
            "zone.home",
            "person.alex",
        }
    )
    services: frozenset[str] | None = frozenset(
        [
            "light.turn_on",
            "light.turn_off",
            "light.toggle",
            "switch.turn_on",
            "switch.toggle",
            "homeassistant.turn_on",
            "homeassistant.turn_off",
            "homeassistant.restart",
            "notify.alex",
            "shell_command.x",
            "rest_command.x",
            "mqtt.publish",
            "lock.unlock",
            "cover.open_cover",
            "cover.close_cover",
            "cover.stop_cover",
            "input_number.increment",
            "input_number.set_value",
            "scene.create",
            "scene.turn_on",
            "script.turn_off",
            "automation.turn_off",
            "logger.set_level",
        ]
    )
    places: frozenset[str] | None = frozenset({"d1", "hall", "ground", "holiday"})
    integrations: frozenset[str] | None = frozenset({"light", "mqtt", "tag", "calendar"})
    refused: Mapping[str, str] = field(default_factory=dict)
    asked: list[tuple[str, Mapping[str, Json]]] = field(default_factory=list)

    def entity_exists(self, entity_id: str) -> bool | None:
        """Return whether the entity is there."""
        return None if self.entities is None else entity_id in self.entities

    def service_exists(self, domain: str, service: str) -> bool | None:
        """Return whether the service is there."""
        return None if self.services is None else f"{domain}.{service}" in self.services

    def integration_loaded(self, domain: str) -> bool | None:
        """Return whether the integration is set up."""
        return None if self.integrations is None else domain in self.integrations

    def device_exists(self, device_id: str) -> bool | None:
        """Return whether the device, area, floor or label is there."""
        return None if self.places is None else device_id in self.places

    area_exists = floor_exists = label_exists = device_exists

    def check_service_data(self, domain: str, service: str, data: Mapping[str, Json]) -> str | None:
        """Return the prepared refusal and remember the question."""
        self.asked.append((f"{domain}.{service}", data))
        return self.refused.get(f"{domain}.{service}")


@dataclass
class RecordingValidator:
    """Stand for Home Assistant's validator, and remember what it was asked."""

    answer: Sequence[Finding] | Exception = ()
    asked: list[Mapping[str, Json]] = field(default_factory=list)

    async def validate(self, config: Mapping[str, Json]) -> Sequence[Finding]:
        """Return or raise the prepared answer and remember the question."""
        self.asked.append(config)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def objection(level: Level = Level.BLOCKED) -> Finding:
    """Return what Home Assistant might object."""
    return Finding(check="home_assistant", code="failed_triggers", level=level, message="no")
