"""Find the acts of people among state changes: gestures on actuators, without automations, echoes and glitches."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from ..model import UNUSABLE_STATES, ActColumns, Origin
from ._calendar import Bools, Ints, wall_minutes
from ._circular import Floats

ACTUATOR_DOMAINS: Final = (
    "climate",
    "cover",
    "fan",
    "humidifier",
    "input_boolean",
    "input_select",
    "lawn_mower",
    "light",
    "lock",
    "media_player",
    "remote",
    "select",
    "siren",
    "switch",
    "vacuum",
    "valve",
    "water_heater",
)
"""What a person can act on. Sensors are never effects: what they show happens to a home, nobody does it to them."""

ECHO_US: Final = 5_000_000
"""Changes of one entity within 5 s of each other are one gesture: a double press, a bounce, a device's own report."""

# On the way to a state is the act of going there; the arrival is only its report.
_ON_THE_WAY: Final = {
    "opening": "open",
    "closing": "closed",
    "locking": "locked",
    "unlocking": "unlocked",
    "returning": "docked",
}
# Nobody brings a device into these on purpose.
_NOT_MEANT: Final = UNUSABLE_STATES | {"", "buffering", "error", "jammed", "problem"}
_PEOPLE: Final = (Origin.USER, Origin.DEVICE)
_MACHINES: Final = (Origin.AUTOMATION, Origin.SCRIPT, Origin.SCENE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Hold when people brought one entity into one state: wall minutes, ascending."""

    entity_id: str
    to_state: str
    wall: Floats


def series_of_acts(columns: ActColumns, tz: ZoneInfo, entity_ids: Collection[str] | None = None) -> list[Series]:
    """Return a series for each entity and state that people brought about, in order of entity and state.

    An act is a change between two known states by a user or, unexplained, by a device. What an automation, a script or
    a scene did is no act, nor is what a device reported within seconds of it. A gesture that ends where it began is none.
    """
    time_us = np.frombuffer(columns.time_us, dtype=np.int64)
    entity = np.frombuffer(columns.entity, dtype=np.int32)
    origin = np.frombuffer(columns.origin, dtype=np.int8)
    names, merged, meant = _meanings(columns.states)
    state = merged[np.frombuffer(columns.state, dtype=np.int32)]
    old_state = merged[np.frombuffer(columns.old_state, dtype=np.int32)]

    origins = list(Origin)
    by_people = np.isin(origin, [origins.index(who) for who in _PEOPLE])
    by_machines = np.isin(origin, [origins.index(who) for who in _MACHINES])
    real = (state != old_state) & meant[state] & meant[old_state]
    acts = np.flatnonzero(real & by_people & ~_near_machines(time_us, entity, by_machines))
    if entity_ids is not None:
        wanted = np.array([name in entity_ids for name in columns.entities], dtype=np.bool_)
        acts = acts[wanted[entity[acts]]]
    if acts.size == 0:
        return []

    follows = (np.diff(entity[acts]) == 0) & (np.diff(time_us[acts]) <= ECHO_US)
    first = acts[np.concatenate(([True], ~follows))]
    last = acts[np.concatenate((~follows, [True]))]
    lasting = state[last] != old_state[first]
    first, last = first[lasting], last[lasting]
    if first.size == 0:
        return []
    return _group((columns.entities, names), wall_minutes(time_us[first], tz), entity[first], state[last])


def _meanings(states: Sequence[str]) -> tuple[Sequence[str], Ints, Bools]:
    """Return the names of all states, for each the state it stands for, and whether a person can have meant it.

    Index -1, no state, reads the last item.
    """
    names = list(dict.fromkeys([*states, *_ON_THE_WAY.values()]))
    merged = [names.index(_ON_THE_WAY[text]) if text in _ON_THE_WAY else at for at, text in enumerate(names)]
    meant = [text not in _NOT_MEANT for text in names]
    return names, np.array([*merged, len(names)], dtype=np.int64), np.array([*meant, False], dtype=np.bool_)


def _near_machines(time_us: Ints, entity: NDArray[np.int32], by_machines: Bools) -> Bools:
    """Return which changes came within ECHO_US after a machine's change of the same entity."""
    place = np.maximum.accumulate(np.where(by_machines, np.arange(len(time_us)), -1))
    before = np.maximum(place, 0)
    near: Bools = (place >= 0) & (entity[before] == entity) & (time_us - time_us[before] <= ECHO_US)
    return near


def _group(
    names: tuple[Sequence[str], Sequence[str]], wall: Floats, entity: NDArray[np.int32], state: Ints
) -> list[Series]:
    entities, states = names
    order = np.lexsort((wall, state, entity))
    wall, entity, state = wall[order], entity[order], state[order]
    starts = np.flatnonzero(np.concatenate(([True], (np.diff(entity) != 0) | (np.diff(state) != 0))))
    return [
        Series(
            entity_id=entities[int(entity[start])],
            to_state=states[int(state[start])],
            wall=part,
        )
        for start, part in zip(starts, np.split(wall, starts[1:]), strict=True)
    ]
