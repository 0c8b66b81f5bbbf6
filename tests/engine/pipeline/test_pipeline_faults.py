"""Whatever fails around the pipeline: nothing is stored twice, nothing is lost uncounted, and it goes on by itself."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
import logging
from pathlib import Path

import pytest

from homeiq_engine.model import EntityFacts, Event, EventQuery, StoreError
from homeiq_engine.pipeline import Enricher, FilterSettings, Pipeline, _pipeline
from homeiq_engine.pipeline._pipeline import BATCH_SIZE
from homeiq_engine.store import Store
from tests.engine.pipeline.parts import Facts, ListSink, ManualClock, PassDecoder, numbers, offer, pipeline, raw
from tests.engine.store.small_disk import small_disk

REASONS = ["disk_full", "read_only", "locked", "cannot_open", "io_error", "damaged", "newer", "closed", "unknown"]


@pytest.mark.parametrize("reason", REASONS)
async def test_a_failing_sink_loses_nothing_and_is_told_once(reason: str, caplog: pytest.LogCaptureFixture) -> None:
    """Events wait through any number of failures, counters too; one warning, one recovery line, one change each."""
    caplog.set_level(logging.INFO)
    sink = ListSink()
    changes: list[str | None] = []
    events: Pipeline = pipeline(sink, on_change=lambda: changes.append(events.failing))
    sink.fail(reason)
    for number in range(4):
        offer(events, 50, first=number * 50)
        with pytest.raises(StoreError):
            await events.flush()
    failing = (events.failing, events.depth, events.stats().failing)
    sink.heal()
    stored = await events.flush()

    assert failing == (reason, 200, reason)
    assert (stored, sink.states, events.failing, events.depth) == (200, numbers(200), None, 0)
    assert changes == [reason, None]
    assert [(record.levelname, reason in record.message) for record in caplog.records] == [
        ("WARNING", True),
        ("INFO", False),
    ]


async def test_another_reason_is_a_change_but_no_other_line(caplog: pytest.LogCaptureFixture) -> None:
    """A disk that is full and then locked is one trouble with two names."""
    sink = ListSink()
    changes: list[str | None] = []
    events: Pipeline = pipeline(sink, on_change=lambda: changes.append(events.failing))
    offer(events, 1)
    for reason in ("disk_full", "locked", "locked"):
        sink.fail(reason)
        with pytest.raises(StoreError):
            await events.flush()

    assert changes == ["disk_full", "locked"]
    assert len(caplog.records) == 1


async def test_an_error_without_a_reason_is_unknown() -> None:
    """A sink that does not say why is failing all the same."""
    sink = ListSink()
    sink.fault = lambda _: StoreError("no reason")
    events = pipeline(sink)
    offer(events, 1)
    with pytest.raises(StoreError):
        await events.flush()

    assert events.failing == "unknown"


async def test_counters_survive_failures_exactly() -> None:
    """Filtered, unreadable and lost are added once, however often the batch was tried."""
    sink = ListSink()
    events = pipeline(sink, limit=10)
    events.buffer.offer(raw(1, state="x", old_state="x"))
    events.buffer.offer("unreadable")
    offer(events, 10)
    sink.fail("locked")
    for _ in range(5):
        with pytest.raises(StoreError):
            await events.flush()
    sink.heal()
    await events.flush()
    await events.flush()

    assert sink.counters == {"attribute_only": 1, "lost": 3}
    assert (events.lost, events.stats().lost_uncounted, events.stats().attribute_only) == (3, 0, 1)
    assert sink.states == numbers(8)


async def test_items_that_cannot_be_read_are_lost_counted_and_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    """The others of the batch are stored; one line for all, without what the items hold."""
    sink = ListSink()
    events = pipeline(sink)
    for number in range(100):
        events.buffer.offer(raw(number))
        events.buffer.offer(("secret content", number))
    await events.flush()

    assert sink.states == numbers(100)
    assert (events.lost, sink.counters) == (100, {"lost": 100})
    assert [record.message for record in caplog.records] == ["100 events cannot be read and are lost"]
    assert "secret content" not in caplog.text


def _poison(*states: str) -> Callable[[Sequence[Event]], Exception | None]:
    def fault(events: Sequence[Event]) -> Exception | None:
        return OverflowError("too large") if any(event.state in states for event in events) else None

    return fault


@pytest.mark.parametrize("poison", [("0",), ("1999",), ("777",), ("3", "4"), ("0", "1000", "1999")])
async def test_an_event_that_cannot_be_stored_is_isolated(
    poison: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    """All others of its batch are stored once and in order; the one is lost, counted, and named without its content."""
    sink = ListSink()
    sink.fault = _poison(*poison)
    events = pipeline(sink)
    offer(events, 2000)
    stored = await events.flush()

    assert sink.states == [state for state in numbers(2000) if state not in poison]
    assert (stored, events.lost, events.stats().lost_uncounted) == (2000 - len(poison), len(poison), 0)
    assert sink.counters == {"lost": len(poison)}
    assert [record.levelno for record in caplog.records] == [logging.ERROR] * len(poison)


async def test_a_failure_while_a_batch_is_being_halved_repeats_nothing() -> None:
    """Parts that were committed before the disk failed are not committed again after it."""
    sink = ListSink()
    poison = _poison("1500")
    committed: list[int] = []

    def fault(events: Sequence[Event]) -> Exception | None:
        if committed and len(sink.events) >= 1000:
            return StoreError("refused", reason="disk_full")
        committed.append(len(events))
        return poison(events)

    sink.fault = fault
    events = pipeline(sink)
    offer(events, 2000)
    with pytest.raises(StoreError):
        await events.flush()
    half = (len(sink.events), events.depth)
    sink.fault = poison
    await events.flush()

    assert half == (1000, 1000)
    assert sink.states == [state for state in numbers(2000) if state != "1500"]
    assert sink.counters == {"lost": 1}


async def test_a_sink_that_is_broken_itself_costs_no_event(caplog: pytest.LogCaptureFixture) -> None:
    """If even an empty batch is refused, no event is to blame: all wait, and are stored when the sink is well."""
    sink = ListSink()
    sink.fault = lambda _: RuntimeError("can't start new thread")
    events = pipeline(sink)
    offer(events, 100)
    for _ in range(3):
        with pytest.raises(StoreError):
            await events.flush()
    waiting = (events.failing, events.depth, events.lost)
    sink.heal()
    await events.flush()

    assert waiting == ("unknown", 100, 0)
    assert (sink.states, events.lost) == (numbers(100), 0)
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]


async def test_counters_that_are_refused_wait_too() -> None:
    """A batch of nothing but counters is not thrown away either."""
    sink = ListSink()
    sink.fault = lambda _: RuntimeError("broken")
    events = pipeline(sink)
    events.buffer.offer(raw(1, state="x", old_state="x"))
    with pytest.raises(StoreError):
        await events.flush()
    sink.heal()
    await events.flush()

    assert sink.counters == {"attribute_only": 1, "lost": 0}


async def test_registries_that_cannot_be_read_cost_no_event() -> None:
    """What was taken from the buffer is kept in hand until the facts can be read again."""

    class BrokenFacts(Facts):
        broken = True

        def snapshot(self) -> Mapping[str, EntityFacts]:
            if self.broken:
                raise RuntimeError("registry")
            return super().snapshot()

    sink, facts = ListSink(), BrokenFacts()
    events = pipeline(sink, facts=facts)
    offer(events, 10)
    events.logs.offer(raw(10))
    with pytest.raises(StoreError):
        await events.flush()
    waiting = events.depth
    facts.broken = False
    await events.flush()

    assert (waiting, sink.states) == (11, numbers(11))


async def test_the_task_tries_again_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody needs to call: with growing pauses the commit is tried until it passes, then batches flow again."""
    monkeypatch.setattr(_pipeline, "BATCH_AGE_S", 0.01)
    monkeypatch.setattr(_pipeline, "_RETRY_S", (0.01, 0.02))
    sink = ListSink()
    sink.fail("locked")
    events = pipeline(sink)
    events.start()
    offer(events, 5)
    async with asyncio.timeout(5):
        while sink.tries < 5:
            await asyncio.sleep(0.01)
        sink.heal()
        while events.depth:
            await asyncio.sleep(0.01)
        offer(events, 5, first=5)
        while events.depth:
            await asyncio.sleep(0.01)
    await events.stop()

    assert sink.states == numbers(10)


async def test_a_stop_does_not_wait_for_a_retry(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pause of half a minute between two tries is cut short by the end."""
    monkeypatch.setattr(_pipeline, "BATCH_AGE_S", 0.01)
    sink = ListSink()
    sink.fail("locked")
    events = pipeline(sink)
    events.start()
    offer(events, 5)
    while events.failing is None:
        await asyncio.sleep(0.01)
    sink.heal()
    async with asyncio.timeout(0.9):
        await events.stop()

    assert sink.states == numbers(5)


async def test_a_stop_tries_until_its_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sink that recovers in time gets everything."""
    monkeypatch.setattr(_pipeline, "_STOP_RETRY_S", (0.01,))
    sink = ListSink()
    sink.fault = lambda _: StoreError("refused", reason="locked") if sink.tries < 10 else None
    events = pipeline(sink)
    offer(events, 5)
    await events.stop()

    assert sink.states == numbers(5)


async def test_what_a_stop_cannot_keep_is_lost_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    """At the deadline the events in hand and in the buffer are given up; the figure is exact and a line says so."""

    class Ticking(ManualClock):
        def monotonic(self) -> float:
            self.seconds += 1
            return self.seconds

    sink = ListSink()
    sink.fail("disk_full")
    events = pipeline(sink, clock=Ticking(), limit=BATCH_SIZE + 10)
    offer(events, BATCH_SIZE + 30)
    await events.stop(deadline_s=3)

    assert (events.lost, events.depth, sink.states) == (BATCH_SIZE + 30, 0, [])
    assert caplog.records[-1].message == (
        f"{BATCH_SIZE + 10} events could not be stored before the end (disk_full) and are lost"
    )


async def test_a_stop_with_nothing_to_keep_is_silent(caplog: pytest.LogCaptureFixture) -> None:
    """A counter that could not be saved is no lost event."""
    sink = ListSink()
    sink.fail("disk_full")
    events = pipeline(sink)
    events.buffer.offer(raw(1, state="x", old_state="x"))
    await events.stop(deadline_s=0)

    assert events.lost == 0
    assert [record.levelname for record in caplog.records] == ["WARNING"]


async def _real(path: Path) -> tuple[Store, Pipeline]:
    store = Store(path / "homeiq.db", ManualClock())
    await store.open()
    return store, pipeline(store)


@pytest.mark.parametrize("turns", [0, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89])
async def test_a_flush_cancelled_anywhere_stores_all_once(tmp_path: Path, turns: int) -> None:
    """Whoever asked for the flush may go; with the real store every event is there exactly once after the next."""
    store, events = await _real(tmp_path)
    offer(events, 3000)
    flush = asyncio.ensure_future(events.flush())
    for _ in range(turns):
        await asyncio.sleep(0)
    flush.cancel()
    await asyncio.wait((flush,))
    offer(events, 100, first=3000)
    await events.flush()

    found = await store.query(EventQuery(limit=10_000))
    await store.close()

    assert [event.state for event in found.events] == numbers(3100)
    assert events.stats().stored == 3100


@pytest.mark.parametrize("turns", [0, 1, 2, 4, 8, 16, 32, 64, 128])
async def test_a_flush_cancelled_within_the_commit_stores_all_once(tmp_path: Path, turns: int) -> None:
    """The caller goes while SQLite is at work on the batch: the answer is not missed and nothing is stored twice."""
    begun = asyncio.Event()

    class Watched(Store):
        async def append(
            self, batch: Sequence[Event], counters: Mapping[str, int] | None = None, *, dedupe: bool = False
        ) -> int:
            begun.set()
            return await super().append(batch, counters, dedupe=dedupe)

    store = Watched(tmp_path / "homeiq.db", ManualClock())
    events = pipeline(store)
    offer(events, 1000)
    flush = asyncio.ensure_future(events.flush())
    await begun.wait()
    for _ in range(turns):
        await asyncio.sleep(0)
    flush.cancel()
    await asyncio.wait((flush,))
    await events.flush()

    found = await store.query(EventQuery(limit=10_000))
    await store.close()

    assert [event.state for event in found.events] == numbers(1000)
    assert events.stats().stored == 1000


@pytest.mark.parametrize("turns", [1, 5, 20, 60])
async def test_a_cancelled_task_loses_nothing(tmp_path: Path, turns: int) -> None:
    """Should somebody cancel the pipeline's own task, the batch under way is finished and the rest is flushed once."""
    store, events = await _real(tmp_path)
    events.start()
    offer(events, 2500)
    for _ in range(turns):
        await asyncio.sleep(0)
    assert events._task is not None
    events._task.cancel()
    await events.stop()

    found = await store.query(EventQuery(limit=10_000))
    await store.close()

    assert [event.state for event in found.events] == numbers(2500)


async def test_a_cancelled_stop_can_be_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stop that ran out of its caller's time is not swallowed, and the next one ends the job."""
    sink = ListSink()
    sink.fail("locked")
    events = pipeline(sink)
    events.start()
    offer(events, 5)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await events.stop()
    sink.heal()
    await events.stop()

    assert sink.states == numbers(5)


async def test_history_with_an_impossible_event_is_stored_without_it() -> None:
    """Back-fill isolates the event at fault too, and counts it as lost with the next commit."""
    sink = ListSink()
    sink.fault = _poison("3")
    events = pipeline(sink)
    enricher = Enricher(PassDecoder(), FilterSettings(), started=True)

    stored = await events.store_now([raw(number) for number in range(10)] + ["unreadable"], enricher)
    await events.flush()

    assert (stored, sink.states, events.lost) == (9, [state for state in numbers(10) if state != "3"], 2)
    assert sink.counters == {"lost": 2}


async def test_history_waits_for_the_store() -> None:
    """Back-fill hears of a failing store and nothing is half done."""
    sink = ListSink()
    sink.fail("disk_full")
    with pytest.raises(StoreError):
        await pipeline(sink).store_now([raw(1)], Enricher(PassDecoder(), FilterSettings(), started=True))

    assert sink.events == []


async def test_an_impossible_event_in_the_real_store(tmp_path: Path) -> None:
    """SQLite's own refusal of a value isolates the event; rows, ids and counters stay exact."""
    store, events = await _real(tmp_path)
    offer(events, 500)
    await events.flush()
    offer(events, 500, first=500)
    await events._make_batch()
    part = list(events._parts[0])
    part[123] = replace(part[123], time_us=2**64)
    events._parts[0] = part
    await events.flush()

    found = await store.query(EventQuery(limit=10_000))
    stats = await store.stats()
    await store.close()

    assert [event.state for event in found.events] == [state for state in numbers(1000) if state != "623"]
    assert [event.id for event in found.events] == list(range(1, 1000))
    assert stats.counters == {"stored": 999, "lost": 1}


async def test_a_disk_that_fills_up_and_is_freed_costs_nothing(tmp_path: Path) -> None:
    """Through a real full disk: events wait in memory, the reason is told, and all are stored once when there is room."""
    with small_disk(tmp_path / "disk") as disk:
        store = Store(disk.folder / "homeiq.db", ManualClock())
        events = pipeline(store)
        offer(events, 100)
        await events.flush()
        disk.fill()
        offer(events, 3000, first=100)
        with pytest.raises(StoreError):
            await events.flush()
        offer(events, 100, first=3100)
        with pytest.raises(StoreError):
            await events.flush()
        waiting = (events.failing, events.depth, events.lost)
        disk.free()
        await events.flush()
        found = await store.query(EventQuery(limit=10_000))
        stats = await store.stats()
        await store.close()

    assert waiting == ("disk_full", 3100, 0)
    assert [event.state for event in found.events] == numbers(3200)
    assert stats.counters == {"stored": 3200}


async def test_a_damaged_file_costs_no_event_that_waits(tmp_path: Path) -> None:
    """The batch that met the damage goes into the new file, together with what came meanwhile."""
    path = tmp_path / "homeiq.db"
    path.write_bytes(b"damaged" * 1000)
    store = Store(path, ManualClock())
    events = pipeline(store)
    offer(events, 10)
    await events.flush()
    await store.close()

    assert events.stats().stored == 10
    assert len(store.set_aside) == 1
