"""Read past events from Home Assistant's recorder, with their contexts.

``recorder.history`` gives states without contexts, so this reads the recorder's tables through its own session and ORM.
They are no stable API: everything that knows them is in this file, and ``why_unreadable`` refuses a schema that lacks
what is read here. All functions that take a session run in the recorder's executor.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
import json
from operator import attrgetter
from typing import Any, Final

from homeassistant.components.recorder import get_instance
from homeassistant.components.recorder.db_schema import (
    EventData,
    Events,
    EventTypes,
    StateAttributes,
    States,
    StatesMeta,
)
from homeassistant.components.recorder.models import bytes_to_ulid_or_none, bytes_to_uuid_hex_or_none
from homeassistant.components.recorder.util import session_scope
from homeassistant.core import HomeAssistant
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, aliased

from ..const import DOMAIN
from ..engine.model import EventKind, RawEvent
from .backfill import HistoryError
from .bus import shown_state, to_us
from .service_data import keep_service_data

_EVENT_KINDS: Final = {
    "call_service": EventKind.CALL,
    "automation_triggered": EventKind.AUTOMATION,
    "script_started": EventKind.SCRIPT,
}
_UNKNOWN: Final[Mapping[str, object]] = {"mode": "password"}
# Runs that began before a window may still act in it; their causes are read again (and not stored twice).
_RUN_UP_S: Final = 600.0
_NEEDED: Final[Mapping[type, tuple[str, ...]]] = {
    States: (
        "state",
        "last_updated_ts",
        "last_changed_ts",
        "old_state_id",
        "metadata_id",
        "attributes_id",
        "context_id_bin",
        "context_user_id_bin",
        "context_parent_id_bin",
    ),
    StatesMeta: ("metadata_id", "entity_id"),
    StateAttributes: ("attributes_id", "shared_attrs"),
    Events: ("time_fired_ts", "event_type_id", "data_id", "context_id_bin", "context_user_id_bin"),
    EventTypes: ("event_type_id", "event_type"),
    EventData: ("data_id", "shared_data"),
}


class RecorderHistory:
    """Read the recorder's database in windows of time."""

    def __init__(self, hass: HomeAssistant) -> None:
        """Keep Home Assistant; nothing is read yet."""
        self._hass = hass

    def why_unreadable(self) -> str | None:
        """Return ``unknown_schema`` if the recorder's tables are not the ones known here, None if they are."""
        for table, columns in _NEEDED.items():
            if any(not hasattr(table, column) for column in columns):
                return "unknown_schema"
        return None

    async def async_ready(self) -> None:
        """Wait until the recorder has opened and migrated its database."""
        await get_instance(self._hass).async_recorder_ready.wait()

    async def async_committed(self) -> None:
        """Wait until everything that the recorder has heard so far is in its database."""
        if (commit := get_instance(self._hass).async_get_commit_future()) is not None:
            await commit

    async def async_oldest(self) -> float | None:
        """Return the time of the oldest recorded state in seconds since the epoch, None if there is none."""
        return await get_instance(self._hass).async_add_executor_job(self._oldest)

    async def async_newest_before(self, end: float) -> float | None:
        """Return the time of the last recorded state or event before a time, None if there is none."""
        return await get_instance(self._hass).async_add_executor_job(self._newest_before, end)

    async def async_read(self, start: float, end: float) -> list[RawEvent]:
        """Return what happened in [start, end) (seconds since the epoch), oldest first."""
        return await get_instance(self._hass).async_add_executor_job(self._read, start, end)

    def _oldest(self) -> float | None:
        with _reading(), session_scope(hass=self._hass, read_only=True) as session:
            oldest: float | None = session.execute(select(func.min(States.last_updated_ts))).scalar()
        return oldest

    def _newest_before(self, end: float) -> float | None:
        with _reading(), session_scope(hass=self._hass, read_only=True) as session:
            found = [
                session.execute(select(func.max(column)).where(column < end)).scalar()
                for column in (States.last_updated_ts, Events.time_fired_ts)
            ]
        return max((time for time in found if time is not None), default=None)

    def _read(self, start: float, end: float) -> list[RawEvent]:
        with _reading(), session_scope(hass=self._hass, read_only=True) as session:
            events = list(_read_events(session, start - _RUN_UP_S, end))
            states = list(_read_states(session, start, end))
        # Sorting is stable: a call stands before the states of the same microsecond that it brought about.
        return sorted([*events, *states], key=attrgetter("time_us"))


@contextmanager
def _reading() -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as err:
        raise HistoryError(str(err)) from err


def _read_states(session: Session, start: float, end: float) -> Iterator[RawEvent]:
    old = aliased(States)
    rows = session.execute(
        select(
            StatesMeta.entity_id,
            States.state,
            States.last_updated_ts,
            States.last_changed_ts,
            StateAttributes.shared_attrs,
            States.context_id_bin,
            States.context_user_id_bin,
            States.context_parent_id_bin,
            States.old_state_id,
            old.state.label("old_state"),
            func.coalesce(old.last_changed_ts, old.last_updated_ts).label("old_changed_ts"),
        )
        .select_from(States)
        .join(StatesMeta, States.metadata_id == StatesMeta.metadata_id)
        .outerjoin(StateAttributes, States.attributes_id == StateAttributes.attributes_id)
        .outerjoin(old, States.old_state_id == old.state_id)
        .where(States.last_updated_ts >= start, States.last_updated_ts < end)
        .order_by(States.last_updated_ts)
    )
    # Rows share their attributes' text; one mapping for all is less to parse, to hold and to encode.
    known: dict[str | None, dict[str, Any]] = {}
    for row in rows:
        if (attributes := known.get(row.shared_attrs)) is None:
            attributes = known[row.shared_attrs] = _mapping(row.shared_attrs)
        yield RawEvent(
            kind=EventKind.STATE,
            time_us=to_us(row.last_updated_ts),
            entity_id=row.entity_id,
            # The recorder writes a removed entity as an empty state without attributes.
            state=shown_state(row.entity_id, row.state, attributes) if row.state or attributes else None,
            # What it was shown as before is not known of a removed one.
            old_state=None
            if row.old_state is None
            else shown_state(row.entity_id, row.old_state, attributes or _UNKNOWN),
            old_changed_us=None if row.old_changed_ts is None else to_us(row.old_changed_ts),
            # The recorder leaves last_changed out where it is last_updated: the state itself was set.
            renewed=row.last_changed_ts is None,
            attributes=attributes,
            context_id=bytes_to_ulid_or_none(row.context_id_bin),
            user_id=bytes_to_uuid_hex_or_none(row.context_user_id_bin),
            parent_id=bytes_to_ulid_or_none(row.context_parent_id_bin),
        )


def _read_events(session: Session, start: float, end: float) -> Iterator[RawEvent]:
    rows = session.execute(
        select(
            EventTypes.event_type,
            Events.time_fired_ts,
            EventData.shared_data,
            Events.context_id_bin,
            Events.context_user_id_bin,
            Events.context_parent_id_bin,
        )
        .select_from(Events)
        .join(EventTypes, Events.event_type_id == EventTypes.event_type_id)
        .outerjoin(EventData, Events.data_id == EventData.data_id)
        .where(
            Events.time_fired_ts >= start,
            Events.time_fired_ts < end,
            EventTypes.event_type.in_(_EVENT_KINDS),
        )
        .order_by(Events.time_fired_ts)
    )
    for row in rows:
        data = _mapping(row.shared_data)
        kind = _EVENT_KINDS[row.event_type]
        domain = str(data.get("domain"))
        is_call = kind is EventKind.CALL
        if is_call and domain == DOMAIN:
            continue
        service_data = data.get("service_data")
        source = data.get("source")
        yield RawEvent(
            kind=kind,
            time_us=to_us(row.time_fired_ts),
            entity_id=None if is_call else _text(data.get("entity_id")),
            name=f"{domain}.{data.get('service')}" if is_call else _text(data.get("name")),
            data=keep_service_data(domain, service_data if isinstance(service_data, dict) else {})
            if is_call
            else (None if source is None else {"source": str(source)[:255]}),
            context_id=bytes_to_ulid_or_none(row.context_id_bin),
            user_id=bytes_to_uuid_hex_or_none(row.context_user_id_bin),
            parent_id=bytes_to_ulid_or_none(row.context_parent_id_bin),
        )


def _mapping(text: str | None) -> dict[str, Any]:
    if not text:
        return {}
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str | None:
    return None if value is None else str(value)
