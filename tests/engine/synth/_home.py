"""Describe homes: what stands in them, who lives there, which automations run, and which plans move them."""

from dataclasses import dataclass, field

from ._model import Plan, Planted
from .plans import (
    AutomationAt,
    AutomationFollows,
    ClockHabit,
    Dropouts,
    Motion,
    Presence,
    RandomActs,
    Temperature,
    Undo,
)

ALL_DAYS = (0, 1, 2, 3, 4, 5, 6)
WEEKDAYS = (0, 1, 2, 3, 4)
WEEKEND = (5, 6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing:
    """Be one entity of a home; ``attributes`` are the constant ones that its integration reports."""

    entity_id: str
    name: str
    area: str | None = None
    initial: str = "off"
    attributes: dict[str, str | float | int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AutomationSpec:
    """Be one automation of the home, as its configuration says it; ``by_itself`` if its trigger works in a live home.

    One that is not, waits for a time of day and has to be triggered by whoever replays the home faster than life.
    ``drives`` is the entity that it acts on.
    """

    entity_id: str
    drives: str
    config: dict[str, object]
    by_itself: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """Join things, users, automations and plans. A user is (id as 32 hex digits, name)."""

    things: tuple[Thing, ...]
    users: dict[str, str]
    automations: tuple[AutomationSpec, ...]
    plans: tuple[Plan, ...]

    @property
    def planted(self) -> tuple[Planted, ...]:
        """Return the habits that a miner should find."""
        return tuple(promise for plan in self.plans for promise in plan.planted() if not promise.decoy)

    @property
    def driven(self) -> frozenset[str]:
        """Return the entities that automations act on, and nobody else."""
        return frozenset(automation.drives for automation in self.automations)

    @property
    def decoys(self) -> tuple[Planted, ...]:
        """Return what looks like a habit and must not be mined."""
        return tuple(promise for plan in self.plans for promise in plan.planted() if promise.decoy)


_ANNA = "5f1c0d6a2b9e4a7d8c3f6e1b0a9d8c7e"
_BEN = "9b2e7c4f1a6d4e3b8f0c5d2a7e6b1c4d"


def demo_home() -> Home:
    """Return a family home with five planted habits, an automation that acts by the clock, and everyday noise."""
    return Home(
        things=_things(),
        users={_ANNA: "Anna", _BEN: "Ben"},
        automations=(
            _clock_automation("porch_light_on", "light.porch", "turn_on", "19:00:00"),
            _clock_automation("porch_light_off", "light.porch", "turn_off", "23:15:00"),
            _hall_automation(),
        ),
        plans=(*_habits(), *_decoys(), *_noise()),
    )


def _things() -> tuple[Thing, ...]:
    lights = [
        Thing(entity_id=f"light.{key}", name=name, area=area)
        for key, name, area in (
            ("kitchen", "Kitchen light", "Kitchen"),
            ("living_room", "Living room light", "Living room"),
            ("bedroom", "Bedroom light", "Bedroom"),
            ("dining_room", "Dining room light", "Dining room"),
            ("bathroom", "Bathroom light", "Bathroom"),
            ("porch", "Porch light", "Porch"),
            ("hall", "Hall light", "Hall"),
        )
    ]
    motion = [
        Thing(
            entity_id=f"binary_sensor.{key}_motion",
            name=f"{name} motion",
            area=name,
            attributes={"device_class": "motion"},
        )
        for key, name in (("hall", "Hall"), ("kitchen", "Kitchen"), ("living_room", "Living room"))
    ]
    climate = [
        Thing(
            entity_id=f"sensor.{key}_temperature",
            name=f"{name} temperature",
            area=name,
            initial="20.0",
            attributes={"device_class": "temperature", "unit_of_measurement": "°C", "state_class": "measurement"},
        )
        for key, name in (("living_room", "Living room"), ("bedroom", "Bedroom"), ("porch", "Porch"))
    ]
    return (
        *lights,
        *motion,
        *climate,
        Thing(entity_id="switch.fan", name="Fan", area="Living room"),
        Thing(entity_id="switch.coffee_machine", name="Coffee machine", area="Kitchen"),
        Thing(entity_id="lock.front_door", name="Front door", area="Hall", initial="unlocked"),
        Thing(
            entity_id="binary_sensor.front_door",
            name="Front door",
            area="Hall",
            attributes={"device_class": "door"},
        ),
        Thing(entity_id="person.anna", name="Anna", initial="home"),
        Thing(entity_id="person.ben", name="Ben", initial="home"),
    )


def _habits() -> tuple[Plan, ...]:
    return (
        ClockHabit(
            key="weekday_kitchen_light",
            entity_id="light.kitchen",
            to_state="on",
            minute=6 * 60 + 40,
            spread_min=3,
            weekdays=WEEKDAYS,
            adherence=0.95,
            user=_ANNA,
            undo=Undo(to_state="off", after_min=20, after_max=300),
        ),
        ClockHabit(
            key="evening_living_room_light",
            entity_id="light.living_room",
            to_state="on",
            minute=20 * 60 + 15,
            spread_min=5,
            adherence=0.93,
            user=_BEN,
            undo=Undo(to_state="off", after_min=30, after_max=200),
        ),
        ClockHabit(
            key="midnight_bedroom_light",
            entity_id="light.bedroom",
            to_state="off",
            minute=0,
            spread_min=5,
            adherence=0.93,
            user=_ANNA,
            # The light must be on before it can go off: at some time of the long evening.
            prepare=Undo(to_state="on", after_min=60, after_max=300),
        ),
        ClockHabit(
            key="weekend_dining_room_light",
            entity_id="light.dining_room",
            to_state="on",
            minute=9 * 60 + 30,
            spread_min=4,
            weekdays=WEEKEND,
            user=_ANNA,
            undo=Undo(to_state="off", after_min=30, after_max=300),
        ),
        ClockHabit(
            key="night_front_door_lock",
            entity_id="lock.front_door",
            to_state="locked",
            minute=22 * 60 + 30,
            spread_min=4,
            adherence=0.95,
            user=None,
            undo=Undo(to_state="unlocked", after_min=480, after_max=840),
        ),
    )


def _decoys() -> tuple[Plan, ...]:
    return (
        AutomationAt(
            key="porch_on", automation="automation.porch_light_on", entity_id="light.porch", to_state="on", minute=1140
        ),
        AutomationAt(
            key="porch_off",
            automation="automation.porch_light_off",
            entity_id="light.porch",
            to_state="off",
            minute=1395,
        ),
        RandomActs(key="fan", entity_id="switch.fan", per_day=1.5, user=_BEN),
        RandomActs(key="coffee", entity_id="switch.coffee_machine", per_day=2.5, user=None),
        RandomActs(key="bathroom", entity_id="light.bathroom", per_day=4, user=_ANNA),
    )


def _noise() -> tuple[Plan, ...]:
    hall = Motion(key="hall_motion", entity_id="binary_sensor.hall_motion", per_hour=1.5)
    return (
        hall,
        AutomationFollows(key="hall_light", automation="automation.hall_light", entity_id="light.hall", leader=hall),
        Motion(key="kitchen_motion", entity_id="binary_sensor.kitchen_motion", per_hour=4),
        Motion(key="living_motion", entity_id="binary_sensor.living_room_motion", per_hour=5),
        Temperature(key="living_temp", entity_id="sensor.living_room_temperature", mean=21, swing=1.2),
        Temperature(key="bedroom_temp", entity_id="sensor.bedroom_temperature", mean=18, swing=1),
        Temperature(key="porch_temp", entity_id="sensor.porch_temperature", mean=9, swing=5),
        Presence(key="anna", person="person.anna", door="binary_sensor.front_door", leaves=490, returns=1030),
        Presence(key="ben", person="person.ben", door="binary_sensor.front_door", leaves=530, returns=1090),
        Dropouts(key="porch_dropouts", entity_id="sensor.porch_temperature", per_day=0.4),
    )


def _clock_automation(key: str, entity_id: str, service: str, at: str) -> AutomationSpec:
    return AutomationSpec(
        entity_id=f"automation.{key}",
        drives=entity_id,
        config={
            "id": key,
            "alias": key.replace("_", " ").capitalize(),
            "triggers": [{"trigger": "time", "at": at}],
            "actions": [{"action": f"light.{service}", "target": {"entity_id": entity_id}}],
        },
    )


def _hall_automation() -> AutomationSpec:
    follow = {
        "action": "light.turn_{{ trigger.to_state.state }}",
        "target": {"entity_id": "light.hall"},
    }
    return AutomationSpec(
        entity_id="automation.hall_light",
        drives="light.hall",
        by_itself=True,
        config={
            "id": "hall_light",
            "alias": "Hall light",
            "triggers": [{"trigger": "state", "entity_id": "binary_sensor.hall_motion", "to": ["on", "off"]}],
            "actions": [follow],
            "mode": "parallel",
            "max": 100,
            "max_exceeded": "silent",
        },
    )
