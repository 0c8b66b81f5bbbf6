"""Find out who caused an event, from its context and from what ran in that context before."""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Final, NamedTuple

from ..model import UNUSABLE_STATES, EventKind, Origin, RawEvent

# A context is used for as long as its automation or script runs; the ones used longest ago are forgotten. 10,000
# contexts are hours of a busy home.
_CONTEXTS: Final = 10_000
_SCENE_CALLS: Final = frozenset({"scene.turn_on", "scene.apply"})


class Cause(NamedTuple):
    """Name who is behind a context and, where it has an id, which one."""

    origin: Origin
    responsible: str | None


class OriginTracker:
    """Follow contexts in the order of events; the first automation, script or scene in a context stays its cause.

    A person is named by the context itself and gives way to the script or scene that was called. An automation runs in
    a context of its own whose parent is its trigger's; scripts, scenes and the entities they change share the context of
    whoever called them. So a light that an automation's script turned on has origin ``automation``, one that a person's
    script turned on has origin ``script``.
    """

    def __init__(self, *, started: bool) -> None:
        """Begin; ``started`` says whether the home has finished starting up."""
        self.started = started
        self._causes: OrderedDict[str, Cause] = OrderedDict()

    def cause_of(self, raw: RawEvent) -> Cause:
        """Return an event's cause and learn from it what its context stands for."""
        if raw.kind is EventKind.SYSTEM or raw.kind is EventKind.LOG:
            return Cause(Origin.SYSTEM, None)
        if raw.kind is EventKind.AUTOMATION:
            return self._learn(raw, Cause(Origin.AUTOMATION, raw.entity_id))
        known = self._known(raw)
        if raw.kind is EventKind.SCRIPT:
            return known if known.origin is Origin.AUTOMATION else self._learn(raw, Cause(Origin.SCRIPT, raw.entity_id))
        if raw.kind is EventKind.CALL:
            return self._call(raw, known)
        return Cause(Origin.SYSTEM, None) if self._is_systems(raw, known) else known

    def _known(self, raw: RawEvent) -> Cause:
        if raw.context_id is not None and (cause := self._causes.get(raw.context_id)) is not None:
            self._causes.move_to_end(raw.context_id)
            return cause
        if raw.parent_id is not None:
            # Only automations and what they start make a child context; the parent may have been before our time.
            parent = self._causes.get(raw.parent_id)
            return parent if parent is not None and parent.origin is Origin.SCRIPT else Cause(Origin.AUTOMATION, None)
        if raw.user_id is not None:
            return Cause(Origin.USER, raw.user_id)
        return Cause(Origin.DEVICE, None)

    def _call(self, raw: RawEvent, known: Cause) -> Cause:
        if known.origin is Origin.DEVICE:
            # Nobody presses a service: a call without a user comes from the system or an integration.
            known = Cause(Origin.SYSTEM, None)
        if raw.name in _SCENE_CALLS and known.origin in (Origin.USER, Origin.SYSTEM):
            self._learn(raw, Cause(Origin.SCENE, _first_target(raw.data)))
        return known

    def _is_systems(self, raw: RawEvent, known: Cause) -> bool:
        """Return whether start-up, restoring or a vanished device did this rather than the cause in the context."""
        if raw.state is None or raw.state in UNUSABLE_STATES:
            # A call's context sticks to its entity for seconds; nobody makes a device unavailable by using it.
            return True
        appeared = raw.old_state is None or raw.old_state in UNUSABLE_STATES
        return known.origin is Origin.DEVICE and (appeared or not self.started)

    def _learn(self, raw: RawEvent, cause: Cause) -> Cause:
        if raw.context_id is not None:
            self._causes.setdefault(raw.context_id, cause)
            if len(self._causes) > _CONTEXTS:
                self._causes.popitem(last=False)
        return cause


def _first_target(data: Mapping[str, object] | None) -> str | None:
    target = (data or {}).get("entity_id")
    if isinstance(target, list | tuple):
        target = target[0] if target else None
    return target.partition(",")[0].strip() if isinstance(target, str) else None
