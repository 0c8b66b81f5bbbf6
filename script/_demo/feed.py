"""Feed events through the real bus and compare what the store holds with the player's ledger, event by event."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
import json
from pathlib import Path
from typing import Any

from _hass_client import HassClient
from tests.engine.synth import Cause, Home, Step

_PAGE = 10_000
_PLAY_S = 90.0
_SHOWN = 5

type Key = tuple[str, str | None, str | None, str | None]
"""Kind, entity id or name, state, context id: what makes a played event unmistakable."""


@dataclass(slots=True)
class Fed:
    """Sum up what was fed; ``seconds`` runs from each first event to the commit of the last one."""

    sent: int = 0
    stored: int = 0
    attribute_only: int = 0
    seconds: float = 0.0
    kinds: Counter[str] = field(default_factory=Counter)
    missing: list[Key] = field(default_factory=list)
    unexpected: list[Key] = field(default_factory=list)

    @property
    def events_per_s(self) -> float | None:
        """Return how fast it went, until durable."""
        return round(self.sent / self.seconds, 1) if self.seconds else None


def live_lines(home: Home, steps: Iterable[Step], user_id: str) -> Iterator[dict[str, str | None]]:
    """Return the player's lines for the home's steps; every person acts as the one user that the demo has.

    What an automation does by itself is left to it.
    """
    by_itself = {automation.entity_id for automation in home.automations if automation.by_itself}
    for step in steps:
        if step.by in by_itself:
            continue
        by = user_id if step.cause is Cause.USER else step.by
        yield {"entity_id": step.entity_id, "state": step.state, "cause": step.cause.value, "by": by}


def evening_lines(user_id: str) -> Iterator[dict[str, str | None]]:
    """Return some calls of scripts, scenes and helpers by the user."""
    for entity_id, service in (
        ("input_boolean.night_mode", "turn_on"),
        ("script.good_night", "turn_on"),
        ("input_boolean.night_mode", "turn_off"),
        ("scene.night", "turn_on"),
        ("input_button.doorbell", "press"),
    ):
        yield {"entity_id": entity_id, "state": service, "cause": "call", "by": user_id}


def play(client: HassClient, folder: Path, name: str, lines: Iterable[dict[str, str | None]], fed: Fed) -> None:
    """Play lines on the bus, make them durable, and add the comparison of ledger and store to ``fed``."""
    player = folder / "homeiq_demo"
    (player / f"{name}.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    before = datetime.now(UTC)
    told = client.call_service("homeiq_demo", "play", {"file": name}, return_response=True, timeout=_PLAY_S)
    flushed = datetime.now(UTC)
    client.call_service("homeiq", "flush", {})
    waited = (datetime.now(UTC) - flushed).total_seconds()
    sent = Counter(_ledger(player / f"{name}.ledger.jsonl"))
    own = {key[3] for key in sent}
    stored = Counter(
        key
        for event in query(client, start=before.isoformat())
        if (key := _key(event))[3] in own and key[3] is not None
    )
    fed.sent += told["sent"]
    fed.stored += (sent & stored).total()
    fed.attribute_only += told["attribute_only"]
    fed.seconds += told["seconds"] + waited
    fed.kinds.update(told["kinds"])
    fed.missing += list((sent - stored).elements())[:_SHOWN]
    fed.unexpected += list((stored - sent).elements())[:_SHOWN]


def query(client: HassClient, **fields: Any) -> Iterator[dict[str, Any]]:
    """Return all events that `homeiq.query_events` finds, page by page."""
    cursor: str | None = None
    while True:
        page = {**fields, "limit": _PAGE} | ({} if cursor is None else {"cursor": cursor})
        answer = client.call_service("homeiq", "query_events", page, return_response=True)
        yield from answer["events"]
        if (cursor := answer["next_cursor"]) is None:
            return


def _ledger(path: Path) -> Iterator[Key]:
    with path.open(encoding="utf-8") as file:
        for line in file:
            kind, name, state, context_id = json.loads(line)
            yield (kind, name, state, context_id)


def _key(event: dict[str, Any]) -> Key:
    name = event.get("name") if event["kind"] == "call" else event.get("entity_id")
    state = event.get("state") if event["kind"] == "state" else None
    return (event["kind"], name, state, event.get("context_id"))
