"""Say which one service call brings an entity into a state."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from ..model import DraftError, Json

type Call = tuple[str, Mapping[str, Json], str]
"""A service, its data beside the target, and what it does to the entity, in words."""

_ON_OFF: Final = ("fan", "humidifier", "input_boolean", "light", "media_player", "remote", "siren", "switch")

_PLAIN: Final[Mapping[tuple[str, str], tuple[str, str]]] = MappingProxyType(
    {
        **{(domain, "on"): (f"{domain}.turn_on", "turn on {}") for domain in _ON_OFF},
        **{(domain, "off"): (f"{domain}.turn_off", "turn off {}") for domain in _ON_OFF},
        ("cover", "open"): ("cover.open_cover", "open {}"),
        ("cover", "closed"): ("cover.close_cover", "close {}"),
        ("lawn_mower", "mowing"): ("lawn_mower.start_mowing", "start {}"),
        ("lawn_mower", "paused"): ("lawn_mower.pause", "pause {}"),
        ("lawn_mower", "docked"): ("lawn_mower.dock", "send {} home"),
        ("lock", "locked"): ("lock.lock", "lock {}"),
        ("lock", "unlocked"): ("lock.unlock", "unlock {}"),
        ("media_player", "playing"): ("media_player.media_play", "play on {}"),
        ("media_player", "paused"): ("media_player.media_pause", "pause {}"),
        ("vacuum", "cleaning"): ("vacuum.start", "start {}"),
        ("vacuum", "paused"): ("vacuum.pause", "pause {}"),
        ("vacuum", "returning"): ("vacuum.return_to_base", "send {} home"),
        ("vacuum", "docked"): ("vacuum.return_to_base", "send {} home"),
        ("valve", "open"): ("valve.open_valve", "open {}"),
        ("valve", "closed"): ("valve.close_valve", "close {}"),
    }
)

# The state is the value that the service takes; None allows any state, as an entity's own options.
_VALUED: Final[Mapping[str, tuple[str, str, frozenset[str] | None]]] = MappingProxyType(
    {
        "climate": (
            "climate.set_hvac_mode",
            "hvac_mode",
            frozenset({"auto", "cool", "dry", "fan_only", "heat", "heat_cool", "off"}),
        ),
        "input_select": ("input_select.select_option", "option", None),
        "select": ("select.select_option", "option", None),
        "water_heater": ("water_heater.set_operation_mode", "operation_mode", None),
    }
)


def call_for(entity_id: str, to_state: str) -> Call:
    """Return the call that brings the entity into the state.

    Raises DraftError if no plain call does, with the placeholders ``entity_id``, ``state`` and ``reason``.
    """
    domain = entity_id.partition(".")[0]
    if (plain := _PLAIN.get((domain, to_state))) is not None:
        return plain[0], {}, plain[1]
    if (valued := _VALUED.get(domain)) is not None:
        service, field, values = valued
        if values is None or to_state in values:
            return service, {field: to_state}, f"set {{}} to {to_state}"
    raise DraftError(
        f"no single action brings {entity_id} into the state {to_state}",
        entity_id=entity_id,
        state=to_state,
        reason="no_action",
    )
