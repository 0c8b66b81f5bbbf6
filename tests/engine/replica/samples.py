"""Make events for the replica's tests."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from homeiq_engine.model import EntityFacts, Event, EventKind, Origin
from homeiq_engine.replica import InfluxSettings, LineEncoder

START_US = 1_790_000_000_000_000
KITCHEN = EntityFacts(
    registry_id="5f0c", area_id="kitchen", integration="hue", device_class="temperature", unit="°C", labels=("a", "b")
)


def state_event(number: int = 0, *, entity_id: str = "sensor.kitchen", state: str | None = None) -> Event:
    """Return a state change, a millisecond after the one with the number before."""
    return Event(
        kind=EventKind.STATE,
        time_us=START_US + number * 1000,
        origin=Origin.DEVICE,
        entity_id=entity_id,
        state=str(number) if state is None else state,
        old_state=str(number - 1),
        held_us=1_000_000 + number,
        context_id=f"01J{number:023d}",
        facts=KITCHEN,
        id=number + 1,
    )


def state_events(number: int, *, first: int = 0) -> Sequence[Event]:
    """Return so many state changes of ten entities."""
    return [state_event(index, entity_id=f"sensor.room_{index % 10}") for index in range(first, first + number)]


def twins(number: int) -> Sequence[Event]:
    """Return so many different states of one entity in one and the same microsecond."""
    first = state_event()
    return [replace(first, state=str(index), id=index + 1) for index in range(number)]


def encoder(home: str = "", **settings: Any) -> LineEncoder:
    """Return an encoder with settings of this kind."""
    return LineEncoder(InfluxSettings(url="http://127.0.0.1", org="o", bucket="b", token="t", home=home, **settings))
