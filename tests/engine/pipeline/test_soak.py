"""An hour at 200 events a second goes through the real pipeline and the real store without losing one."""

from pathlib import Path
import tracemalloc

import pytest

from homeiq_engine.model import EventKind, EventQuery, RawEvent
from homeiq_engine.pipeline import FilterSettings, Rules
from homeiq_engine.store import Store
from tests.engine.pipeline.parts import T0_US, ManualClock, pipeline
from tests.engine.store.samples import raw as rows_of

RATE, SECONDS = 200, 3600
ENTITIES = 150
# Memory is traced in the last ten minutes, which is slow, and compared over the last nine: a leak of one small object
# per event would be 6 MB. What caches turn over is new to the tracer, so the first minute does not count.
TRACED_FROM, COMPARED_FROM = 3000, 3060
ALLOWED_GROWTH = 1024 * 1024


def _item(number: int) -> RawEvent:
    entity = number % ENTITIES
    kept = {
        "kind": EventKind.STATE,
        "time_us": T0_US + number * 1_000_000 // RATE,
        "entity_id": f"sensor.s{entity}",
        "old_changed_us": T0_US,
        "context_id": f"{number:026d}",
    }
    match number % 10:
        case 8:
            return RawEvent(**kept, state="on", old_state="on", attributes={"n": number})
        case 9:
            return RawEvent(**(kept | {"entity_id": "light.excluded"}), state="on", old_state="off")
        case _:
            return RawEvent(
                **kept, state=str(number), old_state=str(number - 1), attributes={"unit": "W", "n": number % 999}
            )


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_an_hour_of_heavy_load(tmp_path: Path) -> None:
    """720,000 events, a commit per virtual second: none lost, every counter exact, memory flat, order kept."""
    clock = ManualClock()
    store = Store(tmp_path / "homeiq.db", clock)
    settings = FilterSettings(exclude=Rules(domains=("light",)))
    events = pipeline(store, clock=clock, settings=settings)
    traced: list[int] = []
    for second in range(SECONDS):
        for number in range(second * RATE, (second + 1) * RATE):
            events.buffer.offer(_item(number))
        clock.seconds += 1.0
        clock.us += 1_000_000
        await events.flush()
        if second == TRACED_FROM:
            tracemalloc.start()
        if second >= COMPARED_FROM:
            traced.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    figures, stats = events.stats(), await store.stats()
    newest = await store.query(EventQuery(newest_first=True, limit=1))
    await store.close()

    total = RATE * SECONDS
    assert (figures.received, figures.lost, figures.buffer_depth) == (total, 0, 0)
    assert (figures.stored, figures.filtered, figures.attribute_only) == (total * 8 // 10, total // 10, total // 10)
    assert stats.counters == {
        "stored": total * 8 // 10,
        "filtered": total // 10,
        "attribute_only": total // 10,
    }
    assert figures.per_minute == pytest.approx(60 * RATE * 8 // 10, abs=RATE)
    assert newest.events[0].state == str(total - 3)
    assert rows_of(store.path, "SELECT COUNT(*), COUNT(DISTINCT state), MAX(id) FROM events") == [
        (total * 8 // 10,) * 3
    ]
    assert rows_of(
        store.path,
        "SELECT COUNT(*) FROM (SELECT at < LAG(at) OVER (ORDER BY id) AS back FROM events) WHERE back",
    ) == [(0,)]
    assert rows_of(store.path, "PRAGMA integrity_check") == [("ok",)]
    assert traced[-1] - traced[0] < ALLOWED_GROWTH
