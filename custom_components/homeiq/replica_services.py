"""Do what the services for replicas are asked: pause, resume, resend, and see to dead letters."""

from collections.abc import Mapping
from typing import Any, Final

from homeassistant.core import ServiceResponse

from .engine.model import DeadLetter
from .engine.replica import Replica, ReplicaStats
from .engine.store import Follower
from .replica_settings import replica_name
from .runtime import HomeIQData
from .service_fields import Fields, error
from .times import iso, now_us

_LONGEST_NAME: Final = 1_000
_SHOWN: Final = 100
_MAX_LETTERS: Final = 1_000
_DEFAULT_LETTERS: Final = 100
_MAX_ROW: Final = 2**63 - 1


def read_replica(fields: Fields) -> Mapping[str, Any]:
    """Read which replica is meant."""
    text = fields.text("replica")
    return {"replica": None if text is None else fields.required_text("replica", _LONGEST_NAME).strip()}


def read_resend(fields: Fields) -> Mapping[str, Any]:
    """Read which replica is meant and which time range."""
    start_us, end_us = fields.time_range_us("start", "end")
    if start_us is None:
        raise error("missing_field", field="start")
    now = now_us()
    if end_us is None and start_us >= now:
        raise fields.refusal("start")
    return {**read_replica(fields), "start_us": start_us, "end_us": now if end_us is None else end_us}


def read_letters(fields: Fields) -> Mapping[str, Any]:
    """Read which replica is meant and which page of its dead letters."""
    return {
        **read_replica(fields),
        "after": fields.number("after", 0, _MAX_ROW, 0),
        "limit": fields.number("limit", 1, _MAX_LETTERS, _DEFAULT_LETTERS),
    }


def read_purge_letters(fields: Fields) -> Mapping[str, Any]:
    """Read which replica is meant and which of its dead letters, all if none are named."""
    return {**read_replica(fields), "ids": fields.numbers("ids", 1, _MAX_ROW)}


async def pause_replica(data: HomeIQData, fields: Mapping[str, Any]) -> ServiceResponse:
    """Let a replica rest until it is resumed, over restarts as well; its events wait in the store."""
    return await _set_paused(data, fields["replica"], paused=True)


async def resume_replica(data: HomeIQData, fields: Mapping[str, Any]) -> ServiceResponse:
    """Let a replica go on; one that waits after a failure tries again at once."""
    return await _set_paused(data, fields["replica"], paused=False)


async def resend(data: HomeIQData, fields: Mapping[str, Any]) -> ServiceResponse:
    """Write a time range anew, before what is new."""
    await data.pipeline.flush()
    _, replica = await _find(data, fields["replica"])
    return {"events": await replica.resend(fields["start_us"], fields["end_us"])}


async def list_dead_letters(data: HomeIQData, fields: Mapping[str, Any]) -> ServiceResponse:
    """Return a page of the events that a server refused, with its words."""
    follower = await _follower(data, fields["replica"])
    letters = await follower.dead_letters(fields["after"], fields["limit"] + 1)
    page = letters[: fields["limit"]]
    return {
        "dead_letters": [_letter(letter) for letter in page],
        "next": page[-1].id if len(letters) > len(page) else None,
        "held": await follower.dead_letter_count(),
    }


async def retry_dead_letters(data: HomeIQData, fields: Mapping[str, Any]) -> ServiceResponse:
    """Send the events again that a server refused."""
    _, replica = await _find(data, fields["replica"])
    delivered, refused = await replica.retry_dead_letters()
    await data.replicas.coordinator.async_refresh()
    return {"delivered": delivered, "refused": refused}


async def purge_dead_letters(data: HomeIQData, fields: Mapping[str, Any]) -> ServiceResponse:
    """Delete dead letters; the events themselves stay in the store."""
    follower = await _follower(data, fields["replica"])
    deleted = await follower.delete_dead_letters(fields["ids"])
    await data.replicas.coordinator.async_refresh()
    return {"deleted": deleted}


def replica_report(stats: ReplicaStats) -> dict[str, Any]:
    """Return a replica's figures without names, addresses and the server's words."""
    return {
        "state": stats.state.value,
        "circuit": stats.circuit.value,
        "cursor": stats.cursor,
        "lag_events": stats.lag_events,
        "lag_s": round(stats.lag_s, 1),
        "points_per_s": round(stats.points_per_s, 1),
        "sent": stats.sent,
        "bytes_sent": stats.bytes_sent,
        "dead_letters": stats.dead_letters,
        "unverified": stats.unverified,
        "last_success": iso(stats.last_success),
        "last_reason": None if stats.last_reason is None else stats.last_reason.value,
    }


async def _find(data: HomeIQData, wanted: str | None) -> tuple[str, Replica]:
    """Return the replica that is meant by id or title, and its id; the only one may go unnamed."""
    # While a change is applied, a replica may be between its old and its new self.
    async with data.applying:
        known = data.replicas.subentries
        named = [each for each, subentry in known.items() if wanted in {None, each, subentry.title}]
        if wanted is not None and wanted in known:
            # An id is meant before a title of the same letters.
            named = [wanted]
        if len(named) == 1:
            return named[0], data.replicas[named[0]]
    if wanted is None:
        raise error("missing_field", field="replica")
    raise error("several_replicas" if named else "no_such_replica", field="replica", value=wanted[:_SHOWN])


async def _follower(data: HomeIQData, wanted: str | None) -> Follower:
    subentry_id, _ = await _find(data, wanted)
    return Follower(data.store, replica_name(subentry_id))


async def _set_paused(data: HomeIQData, wanted: str | None, *, paused: bool) -> ServiceResponse:
    """Keep it in the subentry, so that it holds over a restart, and apply it now."""
    subentry_id, replica = await _find(data, wanted)
    data.replicas.async_keep_paused(subentry_id, paused=paused)
    (replica.pause if paused else replica.resume)()
    await data.replicas.coordinator.async_refresh()
    return {"paused": paused}


def _letter(letter: DeadLetter) -> dict[str, Any]:
    return {
        "id": letter.id,
        "event_id": letter.event_id,
        "time": iso(letter.time_us),
        "entity_id": letter.entity_id,
        "line": letter.line,
        "status": letter.status,
        "words": letter.words,
        "noted": iso(letter.noted_us),
    }
