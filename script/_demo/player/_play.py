"""Play a file of steps: state machine, service calls and automations, in slices that let the loop breathe."""

import asyncio
from collections.abc import Mapping
import json
from pathlib import Path
from time import perf_counter, time
from typing import TypedDict

from homeassistant.core import HomeAssistant, ServiceResponse

from ._entity import DemoEntity
from ._ledger import Ledger

_SLICE = 40
_QUIET_S = 0.25
_MOVES = {"on": "turn_on", "off": "turn_off", "locked": "lock", "unlocked": "unlock"}


class PlayStep(TypedDict):
    """Be one line of a file: a state to reach and who is behind it, or a service to call."""

    entity_id: str
    state: str
    cause: str
    by: str | None


async def play(hass: HomeAssistant, entities: Mapping[str, DemoEntity], folder: Path, name: str) -> ServiceResponse:
    """Play `<folder>/<name>.jsonl`, write the ledger beside it and return the counts.

    `began` and `ended` are seconds since the epoch, `seconds` the time from the first step to the last consequence.
    """
    steps = await hass.async_add_executor_job(_read, folder / f"{name}.jsonl")
    ledger = Ledger(hass)
    began, clock = time(), perf_counter()
    try:
        for number, step in enumerate(steps):
            await _do(hass, entities, ledger, step)
            if number % _SLICE == 0:
                await asyncio.sleep(0)
        seconds = perf_counter() - clock + await _settle(ledger)
    finally:
        ledger.close()
    await hass.async_add_executor_job(ledger.write, folder / f"{name}.ledger.jsonl")
    return {
        "steps": len(steps),
        "sent": len(ledger.lines),
        "kinds": {**ledger.counts()},
        "attribute_only": ledger.attribute_only,
        "began": began,
        "ended": time(),
        "seconds": round(seconds, 3),
    }


async def _do(hass: HomeAssistant, entities: Mapping[str, DemoEntity], ledger: Ledger, step: PlayStep) -> None:
    entity_id, state, cause = step["entity_id"], step["state"], step["cause"]
    domain = entity_id.partition(".")[0]
    if cause == "automation":
        target = {"entity_id": step["by"], "skip_condition": True}
        await hass.services.async_call("automation", "trigger", target, blocking=True, context=ledger.context())
    elif cause == "call":
        await hass.services.async_call(
            domain, state, {"entity_id": entity_id}, blocking=True, context=ledger.context(step["by"])
        )
    elif cause == "user" and entity_id in entities:
        await hass.services.async_call(
            domain, _MOVES[state], {"entity_id": entity_id}, blocking=True, context=ledger.context(step["by"])
        )
    elif entity_id in entities:
        entities[entity_id].move(state, ledger.context())
    else:
        hass.states.async_set(entity_id, state, context=ledger.context(step["by"]))


async def _settle(ledger: Ledger) -> float:
    """Wait until nothing the player caused happens any more; return the seconds until the last consequence."""
    clock = perf_counter()
    last, seen = 0.0, len(ledger.lines) + ledger.attribute_only
    while perf_counter() - clock - last < _QUIET_S:
        await asyncio.sleep(0.02)
        now = len(ledger.lines) + ledger.attribute_only
        if now != seen:
            last, seen = perf_counter() - clock, now
    return last


def _read(path: Path) -> list[PlayStep]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
