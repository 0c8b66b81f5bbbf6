"""Generate a home's state changes: always the same for the same seed.

The mix is that of a home with energy metering: mostly numbers, then motion and doors, lights and switches that people
and automations use, and a few entities with large or busy attributes. Each item is a real change: of the state, or of
the attributes alone (about one in eight, as dimmed lights, thermostats and players make them).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
import random
from typing import Final

from homeassistant.core import Context
from homeassistant.helpers.entity import StateInfo

SEED: Final = 20261124
# One event a second, as a usual home has.
MEAN_GAP_S: Final = 1.0
PREFIX: Final = "bench"
_USERS: Final = tuple(f"{number:032x}" for number in range(1, 4))
_TITLES: Final = tuple(f"Track {number} of an album with a name" for number in range(40))
_WEATHER: Final = ("sunny", "partlycloudy", "cloudy", "rainy", "clear-night")

type Attributes = dict[str, object]
type Step = Callable[[random.Random, str, Attributes], tuple[str, Attributes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing:
    """Describe one entity: how it is registered, how it begins and how it changes; ``acted`` if people act on it."""

    entity_id: str
    device_class: str | None
    unit: str | None
    state: str
    attributes: Attributes
    step: Step
    acted: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """Hold one call of the state machine; ``offset_s`` is its time since the first one."""

    entity_id: str
    state: str
    attributes: Attributes
    context: Context | None
    info: StateInfo
    offset_s: float


@dataclass(slots=True)
class Workload:
    """Give the home's changes in order, as many as are asked for."""

    seed: int = SEED
    things: list[Thing] = field(init=False)
    _random: random.Random = field(init=False)
    _changes: Iterator[Change] = field(init=False)

    def __post_init__(self) -> None:
        """Begin anew."""
        self._random = random.Random(self.seed)
        self.things, weights = _home()
        self._changes = self._generate(weights)

    def take(self, count: int) -> list[Change]:
        """Return the next changes."""
        return [next(self._changes) for _ in range(count)]

    def first(self) -> list[Change]:
        """Return every entity's first state."""
        return [Change(thing.entity_id, thing.state, thing.attributes, None, _INFO, 0.0) for thing in self.things]

    def _generate(self, weights: list[float]) -> Iterator[Change]:
        chance, now = self._random, 0.0
        now_of = {thing.entity_id: (thing.state, thing.attributes) for thing in self.things}
        automation: Context | None = None
        while True:
            for thing in chance.choices(self.things, weights, k=1_000):
                before = now_of[thing.entity_id]
                after = thing.step(chance, *before)
                while after == before:
                    after = thing.step(chance, *before)
                now_of[thing.entity_id] = after
                context = None
                if thing.acted:
                    context, automation = self._actor(automation)
                now += chance.expovariate(1 / MEAN_GAP_S)
                yield Change(thing.entity_id, *after, context, _INFO, round(now, 6))

    def _actor(self, automation: Context | None) -> tuple[Context | None, Context | None]:
        """Return who acts: a person, an automation (one run changes a few entities in one context), or the device."""
        chance = self._random
        who = chance.random()
        if who < 0.4:
            return Context(user_id=chance.choice(_USERS)), automation
        if who < 0.8:
            if automation is None or chance.random() < 0.5:
                automation = Context(parent_id=Context().id)
            return automation, automation
        return None, automation


_INFO: Final[StateInfo] = {"unrecorded_attributes": frozenset()}


def _number(low: float, high: float, spread: float, digits: int) -> Step:
    def step(chance: random.Random, state: str, attributes: Attributes) -> tuple[str, Attributes]:
        value = min(max(float(state) + chance.gauss(0, spread), low), high)
        return f"{value:.{digits}f}", attributes

    return step


def _meter(chance: random.Random, state: str, attributes: Attributes) -> tuple[str, Attributes]:
    return f"{float(state) + chance.randint(1, 30) / 1000:.3f}", attributes


def _flip(on: str, off: str) -> Step:
    def step(chance: random.Random, state: str, attributes: Attributes) -> tuple[str, Attributes]:
        return off if state == on else on, attributes

    return step


def _light(chance: random.Random, state: str, attributes: Attributes) -> tuple[str, Attributes]:
    if state == "on" and chance.random() < 0.5:
        return "on", {**attributes, "brightness": chance.randint(1, 255)}
    if state == "on":
        return "off", {**attributes, "brightness": None, "color_mode": None}
    return "on", {**attributes, "brightness": chance.randint(1, 255), "color_mode": "color_temp"}


def _climate(chance: random.Random, state: str, attributes: Attributes) -> tuple[str, Attributes]:
    warm = round(chance.uniform(18, 24), 1)
    if chance.random() < 0.8:
        return state, {**attributes, "current_temperature": warm}
    return "off" if state == "heat" else "heat", {**attributes, "temperature": round(warm)}


def _player(chance: random.Random, state: str, attributes: Attributes) -> tuple[str, Attributes]:
    if chance.random() < 0.6:
        return "playing", {
            **attributes,
            "media_title": chance.choice(_TITLES),
            "media_position": chance.randint(0, 300),
            "volume_level": chance.randint(0, 100) / 100,
        }
    return chance.choice(("idle", "paused", "off")), attributes


def _tracker(chance: random.Random, state: str, attributes: Attributes) -> tuple[str, Attributes]:
    where = {"latitude": round(chance.uniform(50, 51), 5), "longitude": round(chance.uniform(6, 7), 5)}
    return chance.choice(("home", "not_home")), {**attributes, **where, "battery_level": chance.randint(1, 100)}


def _forecast(chance: random.Random, state: str, attributes: Attributes) -> tuple[str, Attributes]:
    return chance.choice(_WEATHER), {
        **attributes,
        "temperature": round(chance.uniform(-5, 30), 1),
        "humidity": chance.randint(20, 100),
        "pressure": round(chance.uniform(980, 1040), 1),
    }


def _sensor(device_class: str, unit: str, state_class: str = "measurement") -> Attributes:
    return {"state_class": state_class, "unit_of_measurement": unit, "device_class": device_class}


def _home() -> tuple[list[Thing], list[float]]:
    """Return the entities and how often each changes."""
    light: Attributes = {
        "min_color_temp_kelvin": 2000,
        "max_color_temp_kelvin": 6535,
        "effect_list": ["None", "candle", "fire"],
        "supported_color_modes": ["color_temp", "hs"],
        "supported_features": 44,
        "brightness": None,
        "color_mode": None,
    }
    climate: Attributes = {
        "hvac_modes": ["off", "heat"],
        "min_temp": 7,
        "max_temp": 35,
        "current_temperature": 20.0,
        "temperature": 21,
        "supported_features": 385,
    }
    player: Attributes = {"source_list": ["Radio", "TV", "Phone"], "volume_level": 0.3, "supported_features": 152461}
    weather: Attributes = {"temperature_unit": "°C", "pressure_unit": "hPa", "attribution": "A weather service"}
    # kind, how many, share of all events, registered class and unit, first state, attributes, step, acted on
    kinds: list[tuple[str, int, float, str | None, str | None, str, Attributes, Step, bool]] = [
        ("sensor.power", 60, 0.31, "power", "W", "100.0", _sensor("power", "W"), _number(0, 3000, 40, 1), False),
        (
            "sensor.temp",
            30,
            0.13,
            "temperature",
            "°C",
            "20.0",
            _sensor("temperature", "°C"),
            _number(5, 35, 0.3, 1),
            False,
        ),
        ("sensor.humid", 20, 0.07, "humidity", "%", "50", _sensor("humidity", "%"), _number(20, 90, 2, 0), False),
        (
            "sensor.energy",
            20,
            0.08,
            "energy",
            "kWh",
            "0.000",
            _sensor("energy", "kWh", "total_increasing"),
            _meter,
            False,
        ),
        (
            "sensor.lux",
            15,
            0.06,
            "illuminance",
            "lx",
            "100",
            _sensor("illuminance", "lx"),
            _number(0, 5000, 60, 0),
            False,
        ),
        (
            "binary_sensor.motion",
            30,
            0.12,
            "motion",
            None,
            "off",
            {"device_class": "motion"},
            _flip("on", "off"),
            False,
        ),
        ("binary_sensor.door", 20, 0.02, "door", None, "off", {"device_class": "door"}, _flip("on", "off"), False),
        ("light.lamp", 25, 0.08, None, None, "off", light, _light, True),
        ("switch.plug", 20, 0.04, "outlet", None, "off", {"device_class": "outlet"}, _flip("on", "off"), True),
        ("climate.room", 6, 0.04, None, None, "heat", climate, _climate, False),
        ("media_player.box", 4, 0.03, "speaker", None, "idle", player, _player, True),
        ("device_tracker.phone", 4, 0.01, None, None, "home", {"source_type": "gps"}, _tracker, False),
        ("weather.home", 1, 0.01, None, None, "sunny", weather, _forecast, False),
    ]
    things: list[Thing] = []
    weights: list[float] = []
    for kind, count, share, device_class, unit, state, attributes, step, acted in kinds:
        domain, _, name = kind.partition(".")
        for number in range(1, count + 1):
            things.append(
                Thing(
                    entity_id=f"{domain}.{PREFIX}_{name}_{number}",
                    device_class=device_class,
                    unit=unit,
                    state=state,
                    attributes={**attributes, "friendly_name": f"{name.capitalize()} {number}"},
                    step=step,
                    acted=acted,
                )
            )
            weights.append(share / count)
    return things, weights
