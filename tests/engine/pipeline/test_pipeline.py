"""Events go through the pipeline in order, in batches, by size and by age, and the figures tell the truth."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
import logging
import threading

import pytest

from homeiq_engine.model import EntityFacts, Event, EventKind, RawEvent
from homeiq_engine.pipeline import Enricher, FilterSettings, Pipeline, Rules, _pipeline
from homeiq_engine.pipeline._pipeline import BATCH_SIZE
from tests.engine.pipeline.parts import T0_US, Facts, ListSink, ManualClock, PassDecoder, numbers, offer, pipeline, raw


async def _until(condition: Callable[[], object], timeout_s: float = 5.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.01)


async def test_events_keep_their_order_and_travel_in_batches() -> None:
    """A flush commits everything, oldest first, in batches of the set size."""
    sink = ListSink()
    events = pipeline(sink)
    count = 2 * BATCH_SIZE + 500
    offer(events, count)

    stored = await events.flush()

    assert stored == count
    assert sink.states == numbers(count)
    assert [len(batch) for batch in sink.batches] == [BATCH_SIZE, BATCH_SIZE, 500]
    assert events.depth == 0


async def test_a_flush_of_nothing_does_not_touch_the_sink() -> None:
    """No event, no counter: no transaction."""
    sink = ListSink()

    assert await pipeline(sink).flush() == 0
    assert sink.tries == 0


async def test_a_flush_ends_although_events_go_on_coming() -> None:
    """What is offered after the call is not waited for."""

    class BusySink(ListSink):
        async def append(
            self, batch: Sequence[Event], counters: Mapping[str, int] | None = None, *, dedupe: bool = False
        ) -> int:
            offer(events, 100, first=1000)
            return await super().append(batch, counters, dedupe=dedupe)

    sink = BusySink()
    events = pipeline(sink)
    offer(events, 100)
    await events.flush()

    assert (sink.states, events.depth) == (numbers(100), 100)


async def test_a_batch_is_committed_when_it_is_old_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """A single event waits for the age of a batch and no longer."""
    monkeypatch.setattr(_pipeline, "BATCH_AGE_S", 0.05)
    sink = ListSink()
    events = pipeline(sink)
    events.start()
    offer(events, 1)
    at_once = sink.states
    await _until(lambda: sink.states)
    await events.stop()

    assert (at_once, sink.states) == ([], ["0"])


async def test_a_batch_is_committed_when_it_is_large_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """A full batch does not wait for its age."""
    monkeypatch.setattr(_pipeline, "BATCH_AGE_S", 3600.0)
    sink = ListSink()
    events = pipeline(sink)
    events.start()
    await asyncio.sleep(0)
    offer(events, BATCH_SIZE - 1)
    await asyncio.sleep(0.05)
    before = len(sink.states)
    offer(events, 1, first=BATCH_SIZE - 1)
    await _until(lambda: sink.states)
    await events.stop()

    assert (before, sink.states) == (0, numbers(BATCH_SIZE))


async def test_a_full_batch_that_came_during_a_commit_does_not_wait_for_its_age(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Events that arrive while two batches are committed leave a third one, and the buffer never passed its mark."""

    class BusySink(ListSink):
        async def append(
            self, batch: Sequence[Event], counters: Mapping[str, int] | None = None, *, dedupe: bool = False
        ) -> int:
            if not self.batches:
                offer(events, BATCH_SIZE + 1, first=2 * BATCH_SIZE)
            return await super().append(batch, counters, dedupe=dedupe)

    monkeypatch.setattr(_pipeline, "BATCH_AGE_S", 3600.0)
    sink = BusySink()
    events = pipeline(sink)
    offer(events, 2 * BATCH_SIZE)
    events.start()
    await _until(lambda: len(sink.states) >= 3 * BATCH_SIZE)
    await events.stop()

    assert sink.states == numbers(3 * BATCH_SIZE + 1)


async def test_stopping_commits_what_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing offered before the stop is left behind, and the task is gone."""
    monkeypatch.setattr(_pipeline, "BATCH_AGE_S", 3600.0)
    sink = ListSink()
    events = pipeline(sink)
    events.start()
    await asyncio.sleep(0)
    offer(events, 10)
    task = events._task
    await events.stop()
    await events.stop()

    assert sink.states == numbers(10)
    assert task is not None
    assert task.done()


async def test_log_records_travel_with_the_events() -> None:
    """Records from the log buffer are stored too, those that did not fit are counted."""
    sink = ListSink()
    events = pipeline(sink)
    for number in range(1003):
        events.logs.offer(RawEvent(kind=EventKind.LOG, time_us=T0_US, name=f"logger{number}"))
    offer(events, 2)
    await events.flush()

    assert len(sink.events) == 1002
    assert sink.counters == {"logs_lost": 3, "lost": 0}
    assert events.stats().logs_lost == 3


async def test_what_is_left_out_is_counted_in_the_same_transaction() -> None:
    """Filtered and attribute-only events reach the persisted counters even when no event is stored."""
    sink = ListSink()
    events = pipeline(sink, settings=FilterSettings(exclude=Rules(globs=("sensor.s1",))))
    events.buffer.offer(raw(1))
    events.buffer.offer(raw(2, state="x", old_state="x"))
    stored = await events.flush()

    assert (stored, sink.events, sink.tries) == (0, [], 1)
    assert sink.counters == {"filtered": 1, "attribute_only": 1, "lost": 0}
    assert (events.stats().filtered, events.stats().attribute_only) == (1, 1)


async def test_an_overflow_that_goes_on_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """Losing at every commit is one episode, although the buffer is empty after each."""
    events = pipeline(ListSink(), limit=10)
    for _ in range(5):
        offer(events, 15)
        await events.flush()

    assert len(caplog.records) == 1
    assert (events.losing, events.lost) == (True, 25)


async def test_an_overflow_is_counted_exactly_and_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """The newest are dropped; count, persisted counter, one line, and the state clears when there is room again."""
    sink, clock = ListSink(), ManualClock()
    changes: list[bool] = []
    events: Pipeline = pipeline(sink, clock=clock, limit=100, on_change=lambda: changes.append(events.losing))
    offer(events, 130)
    sink.fail("disk_full")
    await _refused(events)
    offer(events, 200, first=130)
    await _refused(events)
    lost_while_failing = events.stats()
    sink.heal()
    clock.seconds += 7
    await events.flush()
    recovered = events.stats()
    await events.flush()

    # 30 did not fit at first; then 100 were in hand and 100 of the next 200 fitted.
    assert (lost_while_failing.lost, lost_while_failing.lost_uncounted) == (130, 130)
    assert (recovered.lost, recovered.lost_uncounted, recovered.lost_age_s) == (130, 0, 7)
    assert sink.counters == {"lost": 130}
    assert sink.states == [*numbers(100), *numbers(100, first=130)]
    assert [record.message for record in caplog.records if "is full" in record.message] == [
        "The event buffer (100 events) is full: events are being lost"
    ]
    assert changes == [True, True, True, False]


async def _refused(events: Pipeline) -> None:
    with pytest.raises(Exception, match="refused"):
        await events.flush()


async def test_a_new_overflow_is_told_again(caplog: pytest.LogCaptureFixture) -> None:
    """Each episode of losing has its line; it ends when the buffer is below half and nothing more was lost."""
    events = pipeline(ListSink(), limit=10)
    for _ in range(2):
        offer(events, 15)
        await events.flush()
        await events.flush()

    assert [record.levelno for record in caplog.records] == [logging.ERROR, logging.ERROR]
    assert events.lost == 10


async def test_other_settings_count_for_events_that_wait() -> None:
    """The filter is changed live: what is in the buffer is judged by the new one, what is stored stays."""
    sink = ListSink()
    events = pipeline(sink)
    offer(events, 7)
    await events.flush()
    offer(events, 7)
    events.use_settings(FilterSettings(include=Rules(globs=("sensor.s3",))))
    await events.flush()

    assert sink.states == [*numbers(7), "3"]


async def test_settings_changed_while_a_batch_is_in_the_making_spoil_nothing() -> None:
    """A thread at work finishes with the old settings and all its facts; the next batch has the new ones."""
    entered, go_on = threading.Event(), threading.Event()

    class SlowDecoder(PassDecoder):
        def decode(self, item: object) -> RawEvent | None:
            entered.set()
            go_on.wait(5)
            return super().decode(item)

    sink = ListSink()
    facts = Facts({f"sensor.s{number}": EntityFacts(area_id="kitchen") for number in range(7)})
    events = pipeline(sink, decoder=SlowDecoder(), facts=facts)
    offer(events, 100)
    flush = asyncio.ensure_future(events.flush())
    await asyncio.to_thread(entered.wait, 5)
    depth = events.depth
    events.use_settings(FilterSettings(exclude=Rules(domains=("sensor",))))
    go_on.set()
    await flush
    offer(events, 100)
    await events.flush()

    assert depth == 100
    assert sink.states == numbers(100)
    assert {event.facts.area_id for event in sink.events} == {"kitchen"}


async def test_changed_facts_count_from_the_next_batch_on() -> None:
    """Events have the area that the entity had when they were taken in."""
    sink, facts = ListSink(), Facts({"sensor.s0": EntityFacts(area_id="kitchen")})
    events = pipeline(sink, facts=facts)
    offer(events, 1)
    await events.flush()
    facts.picture = {"sensor.s0": EntityFacts(area_id="attic")}
    offer(events, 1)
    await events.flush()

    assert [event.facts.area_id for event in sink.events] == ["kitchen", "attic"]


async def test_the_figures_are_those_of_the_moment() -> None:
    """Received, stored, depth, rates, latency, ages and today, all after one batch and with one waiting."""
    clock = ManualClock()

    class SlowSink(ListSink):
        async def append(
            self, batch: Sequence[Event], counters: Mapping[str, int] | None = None, *, dedupe: bool = False
        ) -> int:
            clock.seconds += 0.025
            return await super().append(batch, counters, dedupe=dedupe)

    events = pipeline(SlowSink(), clock=clock)
    before = events.stats()
    await events.begin_day(T0_US + 3_000, _counting({"sensor.s4": 10}))
    offer(events, 7)
    await events.flush()
    offer(events, 3)
    clock.seconds += 30
    after = events.stats()

    assert (before.write_p95_ms, before.last_commit_age_s, before.quiet_s, before.usual_gap_s, before.lost_age_s) == (
        None,
    ) * 5
    assert (after.received, after.stored, after.buffer_depth, after.per_minute) == (10, 7, 3, 7)
    assert after.write_p95_ms == pytest.approx(25)
    assert (after.last_commit_age_s, after.quiet_s) == (pytest.approx(30), pytest.approx(30))
    assert (after.today, after.noisiest) == (14, ("sensor.s4", 11))
    assert (after.lost, after.failing) == (0, None)


def _counting(counts: Mapping[str | None, int]) -> Callable[[], Awaitable[Mapping[str | None, int]]]:
    async def count() -> Mapping[str | None, int]:
        return counts

    return count


async def test_a_day_begins_between_two_commits() -> None:
    """While the store is asked what the day has so far, no commit slips in to be counted twice or not at all."""
    sink = ListSink()
    events = pipeline(sink)
    offer(events, 10)
    flush: list[asyncio.Future[int]] = []

    async def count() -> Mapping[str | None, int]:
        flush.append(asyncio.ensure_future(events.flush()))
        await asyncio.sleep(0.05)
        return {None: len(sink.events)}

    await events.begin_day(T0_US, count)
    begun = events.stats().today
    await flush[0]

    assert (begun, events.stats().today) == (0, 10)


async def test_listeners_are_told_and_cannot_do_harm(caplog: pytest.LogCaptureFixture) -> None:
    """A failing listener costs a line in the log, not an event."""
    told: list[str] = []

    def fail() -> None:
        told.append("stored")
        raise RuntimeError("a listener's own trouble")

    sink = ListSink()
    events = pipeline(sink, on_stored=fail)
    offer(events, BATCH_SIZE + 1)
    await events.flush()

    assert (told, len(sink.events)) == (["stored"] * 2, BATCH_SIZE + 1)
    assert [record.message for record in caplog.records] == ["A listener to the pipeline failed"] * 2


async def test_losses_without_an_overflow_are_told_at_once_but_not_each() -> None:
    """What cannot be read is lost; a minute without a loss makes the next one news again."""
    clock, told = ManualClock(), list[int]()
    events: Pipeline = pipeline(ListSink(), clock=clock, on_change=lambda: told.append(events.lost))
    for _ in range(3):
        events.buffer.offer("unreadable")
        await events.flush()
        clock.seconds += 30
    clock.seconds += 31
    events.buffer.offer("unreadable")
    await events.flush()

    assert told == [1, 4]


async def test_history_is_stored_past_the_buffer() -> None:
    """Back-filled items are enriched by an enricher of their own, deduplicated by the sink, and counted as such."""

    class DedupeSink(ListSink):
        async def append(
            self, batch: Sequence[Event], counters: Mapping[str, int] | None = None, *, dedupe: bool = False
        ) -> int:
            return await super().append(batch[1:], counters, dedupe=dedupe)

    facts = Facts({"sensor.s1": EntityFacts(area_id="kitchen")})
    sink = DedupeSink()
    events = pipeline(sink, facts=facts)
    offer(events, 3)
    settings = FilterSettings(exclude=Rules(globs=("sensor.s2",)))

    stored = await events.store_now([raw(0), raw(1), raw(2), raw(3)], Enricher(PassDecoder(), settings, started=True))

    assert (stored, sink.counters, sink.deduped, events.depth) == (2, {}, 1, 3)
    assert sink.events[0].facts.area_id == "kitchen"
