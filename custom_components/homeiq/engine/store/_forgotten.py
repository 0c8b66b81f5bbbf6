"""Remember which entities were forgotten, so that no import, restore or back-fill brings their past back.

Only a hash of an entity's id is kept: the store shall not name what was forgotten. With it stands when that was: what
the entity did afterwards is not forgotten.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache, partial
from hashlib import sha256
import json
import re
from typing import Final

import aiosqlite

from ..model import Event
from ._connection import transaction
from ._purging import PURGED, purge_entity_step
from ._store import Store
from ._times import to_column
from ._writing import put_meta

_META: Final = "forgotten"
# Step 1 kept a list without times under this name.
_META_BEFORE: Final = "backfill_forgotten"
_ENTITY_ID: Final = re.compile(r"\w+\.\w+")

type Forgotten = Mapping[str, int]
"""Maps hashes of entity ids to when (µs) the entity was forgotten."""


@lru_cache(maxsize=20_000)
def entity_hash(entity_id: str) -> str:
    """Return what stands for an entity's id among the forgotten."""
    return sha256(entity_id.encode("utf-8", "surrogatepass")).hexdigest()


async def forgotten_entities(store: Store) -> Forgotten:
    """Return the entities that were forgotten."""
    async with store.reader() as reader:
        return await forgotten_of(reader, store.clock.now_us())


async def forgotten_of(connection: aiosqlite.Connection, now_us: int = 2**63 - 1) -> dict[str, int]:
    """Return what a store file has forgotten, by its open connection; what has no time counts as forgotten ``now_us``."""
    rows = await connection.execute_fetchall("SELECT name, value FROM meta WHERE name IN (?, ?)", (_META, _META_BEFORE))
    known = {str(name): json.loads(value) for name, value in rows}
    return {**dict.fromkeys(known.get(_META_BEFORE, ()), now_us), **known.get(_META, {})}


async def forget_entity(store: Store, entity_id: str) -> None:
    """Remember that all the entity did until now is forgotten; does not delete it, see Store.purge_entity."""
    await forget_all(store, {entity_hash(entity_id): store.clock.now_us()})


async def forget_all(store: Store, more: Forgotten) -> None:
    """Add what another store has forgotten; of two times the later one counts."""

    async def work(writer: aiosqlite.Connection) -> None:
        known = await forgotten_of(writer, store.clock.now_us())
        merged = {name: max(known.get(name, 0), more.get(name, 0)) for name in {*known, *more}}
        async with transaction(writer):
            await put_meta(writer, _META, json.dumps(merged, sort_keys=True))
            await writer.execute("DELETE FROM meta WHERE name = ?", (_META_BEFORE,))

    await store.write(work)


def to_forgotten(value: object) -> Forgotten:
    """Return what the header of an export says, leaving out what does not fit."""
    if not isinstance(value, dict):
        return {}
    return {name: time_us for name, time_us in value.items() if isinstance(name, str) and type(time_us) is int}


def clean(event: Event, forgotten: Forgotten) -> Event | None:
    """Return an event without what was forgotten after it happened, None if all of it was."""
    if not forgotten:
        return event

    def is_forgotten(entity_id: str) -> bool:
        return forgotten.get(entity_hash(entity_id), event.time_us) > event.time_us

    def cleaned(text: str | None) -> str | None:
        if text is None or "." not in text:
            return text
        return _ENTITY_ID.sub(lambda found: PURGED if is_forgotten(found[0]) else found[0], text)

    if event.entity_id is not None and is_forgotten(event.entity_id):
        return None
    responsible = event.responsible
    return replace(
        event,
        state=cleaned(event.state),
        old_state=cleaned(event.old_state),
        payload=cleaned(event.payload),
        name=cleaned(event.name),
        responsible=None if responsible is not None and is_forgotten(responsible) else responsible,
    )


async def purge_forgotten(store: Store, forgotten: Forgotten) -> int:
    """Delete from a store what was forgotten after it had happened; return how many events went."""
    deleted = 0
    async with store.reader() as reader:
        rows = await reader.execute_fetchall(
            "SELECT id, key, (SELECT COALESCE(MAX(at), 0) FROM events WHERE entity = entities.id) FROM entities"
        )
        mentioned = await reader.execute_fetchall("SELECT key FROM actors")
    newest = {str(key): (int(row_id), int(at)) for row_id, key, at in rows}
    for entity_id in {*newest, *(str(row[0]) for row in mentioned)}:
        time_us = forgotten.get(entity_hash(entity_id))
        if time_us is None:
            continue
        row_id, at = newest.get(entity_id, (0, 0))
        deleted += await _purge(store, entity_id, row_id, at, time_us)
    return deleted


async def _purge(store: Store, entity_id: str, row_id: int, newest_at: int, time_us: int) -> int:
    if newest_at < to_column(time_us):
        events, _ = await store.purge_entity(entity_id)
        return events
    # It came back afterwards, so that its name is no secret.
    deleted = 0
    while step := await store.write(partial(purge_entity_step, entity=row_id, before_us=time_us)):
        deleted += step
    return deleted
