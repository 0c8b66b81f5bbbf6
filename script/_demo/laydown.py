"""Lay down a recorder database of past days, as Home Assistant's own recorder would have written it.

Run it as a program with the environment's Python, before Home Assistant starts: the recorder's own models give the
schema of the version at hand, and the rows that say "closed cleanly, up to date" keep it from migrating or repairing.
"""

import argparse
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
import json
from pathlib import Path
from random import Random
import sys
from zoneinfo import ZoneInfo

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from fnv_hash_fast import fnv1a_32  # noqa: E402
from homeassistant.components.recorder.db_schema import (  # noqa: E402
    SCHEMA_VERSION,
    Base,
    EventData,
    Events,
    EventTypes,
    RecorderRuns,
    SchemaChanges,
    StateAttributes,
    States,
    StatesMeta,
    StatisticsRuns,
)
from sqlalchemy import create_engine, insert  # noqa: E402
from sqlalchemy.orm import Session  # noqa: E402

from tests.engine.synth import Cause, Home, Step, demo_home, generate, initial_steps  # noqa: E402

type Row = dict[str, object]

_SERVICES = {
    ("light", "on"): "turn_on",
    ("light", "off"): "turn_off",
    ("switch", "on"): "turn_on",
    ("switch", "off"): "turn_off",
    ("lock", "locked"): "lock",
    ("lock", "unlocked"): "unlock",
}


class _Shared:
    """Give texts that rows share an id, as the recorder's tables of attributes, event data and names do."""

    def __init__(self) -> None:
        self.ids: dict[str, int] = {}

    def id_of(self, text: str) -> int:
        return self.ids.setdefault(text, len(self.ids) + 1)


class Laydown:
    """Collect rows for a home's past and write them in one transaction."""

    def __init__(self, home: Home, seed: int) -> None:
        """Take the home for its names, attributes and automations; the seed makes the context ids."""
        self._rng = Random(f"contexts/{seed}")
        self._attributes = {
            thing.entity_id: _json({**thing.attributes, "friendly_name": thing.name}) for thing in home.things
        }
        self._automations = {automation.entity_id: automation for automation in home.automations}
        self._entities, self._shared, self._types, self._data = _Shared(), _Shared(), _Shared(), _Shared()
        self._states: list[Row] = []
        self._events: list[Row] = []
        self._standing: dict[str, Row] = {}
        self._started = 0

    def start_up(self, when: datetime) -> None:
        """Record that Home Assistant started."""
        for event_type in ("homeassistant_start", "homeassistant_started"):
            self._event(when, event_type, {}, self._context(when))
            self._started += 1

    def step(self, step: Step) -> None:
        """Record a state change with the calls and triggers that led to it, all in the context of its cause."""
        context = self._context(step.when)
        if step.cause is Cause.USER and step.by is not None:
            context["context_user_id_bin"] = bytes.fromhex(step.by)
            self._call(step, context)
        elif step.cause is Cause.AUTOMATION and step.by is not None:
            self._automation(step, step.by, context)
        self._state(step, context)

    def write(self, path: Path, begun: datetime, now: datetime) -> dict[str, int]:
        """Create the database file, write everything and return how many rows of each kind it holds: states, acts, system events."""
        engine = create_engine(f"sqlite:///{path}")
        Base.metadata.create_all(engine)
        with Session(engine) as session, session.begin():
            session.add(SchemaChanges(schema_version=SCHEMA_VERSION, changed=begun))
            session.add(RecorderRuns(start=begun, end=now, created=begun))
            # The last finished five minutes: nothing is left for the recorder to compile at start.
            period = now.replace(minute=now.minute - now.minute % 5, second=0, microsecond=0) - timedelta(minutes=5)
            session.add(StatisticsRuns(start=period))
            for table, rows in self._tables():
                session.execute(insert(table), rows)
        engine.dispose()
        return {"states": len(self._states), "acts": len(self._events) - self._started, "system": self._started}

    def _tables(self) -> Iterable[tuple[type[Base], list[Row]]]:
        yield StatesMeta, [{"metadata_id": key, "entity_id": name} for name, key in self._entities.ids.items()]
        yield (
            StateAttributes,
            [
                {"attributes_id": key, "hash": fnv1a_32(text.encode()), "shared_attrs": text}
                for text, key in self._shared.ids.items()
            ],
        )
        yield EventTypes, [{"event_type_id": key, "event_type": name} for name, key in self._types.ids.items()]
        yield (
            EventData,
            [
                {"data_id": key, "hash": fnv1a_32(text.encode()), "shared_data": text}
                for text, key in self._data.ids.items()
            ],
        )
        yield States, self._states
        yield Events, self._events

    def _context(self, when: datetime) -> Row:
        """Return a fresh context: a ULID is 48 bits of milliseconds and 80 of chance."""
        stamp = int(when.timestamp() * 1000).to_bytes(6)
        return {
            "context_id_bin": stamp + self._rng.randbytes(10),
            "context_user_id_bin": None,
            "context_parent_id_bin": None,
        }

    def _automation(self, step: Step, entity_id: str, context: Row) -> None:
        config = self._automations[entity_id].config
        leader = _trigger_entity(config)
        if leader is not None and leader in self._standing:
            context["context_parent_id_bin"] = self._standing[leader]["context_id_bin"]
        source = "time" if leader is None else f"state of {leader}"
        data = {"name": config["alias"], "entity_id": entity_id, "source": source}
        self._event(step.when - timedelta(milliseconds=2), "automation_triggered", data, context)
        self._call(step, context)

    def _call(self, step: Step, context: Row) -> None:
        domain = step.entity_id.partition(".")[0]
        data = {
            "domain": domain,
            "service": _SERVICES[domain, step.state],
            "service_data": {"entity_id": [step.entity_id]},
        }
        self._event(step.when - timedelta(milliseconds=1), "call_service", data, context)

    def _event(self, when: datetime, event_type: str, data: Mapping[str, object], context: Row) -> None:
        self._events.append(
            {
                "event_type_id": self._types.id_of(event_type),
                "data_id": self._data.id_of(_json(data)),
                "time_fired_ts": when.timestamp(),
                "origin_idx": 0,
                **context,
            }
        )

    def _state(self, step: Step, context: Row) -> None:
        before = self._standing.get(step.entity_id)
        row: Row = {
            "state_id": len(self._states) + 1,
            "metadata_id": self._entities.id_of(step.entity_id),
            "attributes_id": self._shared.id_of(self._attributes[step.entity_id]),
            "old_state_id": None if before is None else before["state_id"],
            "state": step.state,
            "last_updated_ts": step.when.timestamp(),
            "origin_idx": 0,
            **context,
        }
        self._states.append(row)
        self._standing[step.entity_id] = row


def lay_down(path: Path, *, first_day: date, days: int, tz: ZoneInfo, seed: int, now: datetime) -> dict[str, int]:
    """Write the demo home's days, up to now, and return how many rows of each kind were written."""
    home = demo_home()
    past = Laydown(home, seed)
    restored = initial_steps(home, first_day, tz)
    begun = restored[0].when
    past.start_up(begun)
    for step in [*restored, *generate(home, first_day, days, tz, seed)]:
        if step.when < now:
            past.step(step)
    return past.write(path, begun, now)


def _trigger_entity(config: Mapping[str, object]) -> str | None:
    triggers = config["triggers"]
    first = triggers[0] if isinstance(triggers, list) else {}
    return first.get("entity_id")


def _json(value: Mapping[str, object]) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def main() -> None:
    """Lay down the days that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--db", type=Path, required=True)
    parser.add_argument("--first-day", type=date.fromisoformat, required=True)
    parser.add_argument("--days", type=int, required=True)
    parser.add_argument("--tz", type=ZoneInfo, required=True)
    parser.add_argument("--seed", type=int, required=True)
    args = parser.parse_args()
    written = lay_down(
        args.db, first_day=args.first_day, days=args.days, tz=args.tz, seed=args.seed, now=datetime.now(UTC)
    )
    print(json.dumps(written))


if __name__ == "__main__":
    main()
