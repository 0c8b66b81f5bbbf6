"""Each answer of a server has its consequence: smaller bodies, a pause, a probe; and none of them loses an event."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from homeiq_engine.model import DeadLetter, Event, StoreError
from homeiq_engine.replica import Backoff, CircuitState, InfluxSettings, Reason, ReplicaState
from homeiq_engine.replica._breaker import PROBE
from homeiq_engine.store import Follower, Store
from tests.servers.face_process import FaceProcess

from .conftest import WallClock
from .driving import Log, Swapped, caught_up, cursor, events, make_replica, running, states, until
from .samples import START_US, state_event, state_events

pytestmark = pytest.mark.server


async def test_a_server_that_takes_less_gets_less_from_then_on(
    store: Store, settings: InfluxSettings, influx: FaceProcess
) -> None:
    """413 halves the body until it fits; after that more is tried only now and then, and all events arrive."""
    influx.behave(max_body=100_000)
    await store.append(state_events(4000))
    replica = make_replica(store, settings)
    async with running(replica):
        await caught_up(replica, 4000)
        refused = influx.stats()["refused"]
        await store.append(state_events(4000, first=4000))
        replica.notify()
        await caught_up(replica, 8000)

    assert influx.stats()["refused"] <= refused + 1
    assert states(influx, settings) == [str(number) for number in range(8000)]
    assert (replica.stats.dead_letters, replica.stats.sent) == (0, 8000)


async def test_a_server_that_takes_more_again_gets_more_again(
    store: Store, settings: InfluxSettings, influx: FaceProcess
) -> None:
    """A proxy's passing 413 does not leave the replica with small requests for ever, nor with dead letters."""
    before = influx.stats()["writes"]
    influx.fail_writes(413, count=8, body="<html>Request Entity Too Large</html>")
    await store.append(state_events(5000))
    replica = make_replica(store, settings)
    async with running(replica):
        await caught_up(replica, 5000)
        smallest = replica._dispatcher._max_body
        await store.append(state_events(5000, first=5000))
        replica.notify()
        await caught_up(replica, 10_000)

    assert replica._dispatcher._max_body > smallest
    assert (replica.stats.dead_letters, replica.stats.sent) == (0, 10_000)
    assert influx.stats()["writes"] - before < 200


async def test_one_event_that_is_too_large_is_a_dead_letter(
    store: Store, settings: InfluxSettings, influx: FaceProcess
) -> None:
    """It goes alone at last and is still refused; those around it arrive."""
    influx.behave(max_body=10_000)
    huge = replace(state_event(50), payload="x" * 50_000)
    await store.append([*state_events(50), huge, *state_events(49, first=51)])
    replica = make_replica(store, settings)
    async with running(replica):
        await caught_up(replica, 100)

    (letter,) = await Follower(store, "replica-1").dead_letters()
    assert (letter.event_id, letter.status) == (51, 413)
    assert letter.line.endswith(f" {huge.time_us * 1000}")
    assert states(influx, settings) == [str(number) for number in range(100) if number != 50]


async def test_a_circuit_opens_and_is_probed_with_little(
    store: Store, settings: InfluxSettings, influx: FaceProcess
) -> None:
    """After five failures it is open; then a probe of 50 events goes first, and the rest as soon as that has passed."""
    await store.append(state_events(3000))
    influx.fail_writes(503, count=7)
    circuits: list[CircuitState] = []

    def changed() -> None:
        circuits.append(replica.stats.circuit)

    replica = make_replica(store, settings, on_change=changed)
    before = influx.stats()["writes"]
    async with running(replica):
        await caught_up(replica, 3000)

    stats = influx.stats()
    lines = stats["lines"][before - stats["writes"] :]
    assert lines == [3000] * 5 + [PROBE] * 3 + [3000 - PROBE]
    assert CircuitState.OPEN in circuits
    assert circuits[-1] is CircuitState.CLOSED
    assert states(influx, settings) == [str(number) for number in range(3000)]


async def test_a_wrong_token_spools_and_a_right_one_delivers(
    store: Store, settings: InfluxSettings, influx: FaceProcess, influx_log: Log
) -> None:
    """401: events go on to be stored; the next replica, made with the right token, brings them all."""
    refused = make_replica(store, replace(settings, token="wrong"), backoff=Backoff(refused=600))
    async with running(refused):
        for first in range(0, 300, 100):
            await store.append(state_events(100, first=first))
            refused.notify()
            await until(lambda: refused.stats.state is ReplicaState.UNAUTHORIZED)
        waiting = await refused.fresh_stats()
    mended = make_replica(store, settings)
    async with running(mended):
        await caught_up(mended, 300)

    assert (waiting.lag_events, waiting.cursor, waiting.last_reason) == (300, 0, Reason.INVALID_AUTH)
    assert states(influx, settings) == [str(number) for number in range(300)]
    assert [record.levelname for record in influx_log] == ["WARNING"]


async def test_a_token_that_becomes_right_is_noticed(
    store: Store, settings: InfluxSettings, influx: FaceProcess
) -> None:
    """The server's side was mended: no new settings are needed, and resume does not wait for the next attempt."""
    await store.append(state_events(10))
    influx.fail_writes(401, body='{"message": "unauthorized"}')
    replica = make_replica(store, settings, backoff=Backoff(refused=600))
    async with running(replica):
        await until(lambda: replica.stats.state is ReplicaState.UNAUTHORIZED)
        replica.resume()
        await caught_up(replica, 10)

    assert len(events(influx, settings)) == 10


async def test_a_missing_bucket_has_a_state_of_its_own(
    store: Store, settings: InfluxSettings, influx: FaceProcess
) -> None:
    """404: what is wrong can be offered for repair."""
    await store.append(state_events(1))
    replica = make_replica(store, replace(settings, bucket="nowhere"))
    async with running(replica):
        await until(lambda: replica.stats.state is ReplicaState.BUCKET_MISSING)

    assert replica.stats.last_reason is Reason.BUCKET_NOT_FOUND


async def test_a_paused_replica_sends_nothing_until_it_is_resumed(
    store: Store, settings: InfluxSettings, influx: FaceProcess
) -> None:
    """Events wait in the store, the lag grows, and all arrive afterwards."""
    replica = make_replica(store, settings)
    async with running(replica):
        await store.append(state_events(10))
        replica.notify()
        await caught_up(replica, 10)
        replica.pause()
        await store.append(state_events(10, first=10))
        replica.notify()
        await asyncio.sleep(0.2)
        paused = await replica.fresh_stats()
        held = len(events(influx, settings))
        replica.resume()
        await caught_up(replica, 20)

    assert (paused.state, paused.lag_events, held) == (ReplicaState.PAUSED, 10, 10)
    assert len(events(influx, settings)) == 20


async def test_a_paused_replica_can_be_stopped(store: Store, settings: InfluxSettings) -> None:
    """Stop wins over pause."""
    replica = make_replica(store, settings)
    replica.pause()
    async with running(replica):
        await asyncio.sleep(0.05)

    assert replica.stats.state is ReplicaState.STOPPED


async def test_lag_is_the_age_of_the_oldest_event_that_waits(store: Store, settings: InfluxSettings) -> None:
    """In seconds from its time; nothing waits, no lag."""
    now_us = make_replica(store, settings)._clock.now_us()
    late = [replace(state_event(), time_us=now_us - 120_000_000), replace(state_event(), time_us=now_us)]
    replica = make_replica(store, settings)
    replica.pause()
    async with running(replica):
        await store.append(late)
        waiting = await replica.fresh_stats()
        replica.resume()
        await caught_up(replica, 2)
        done = (replica.stats.lag_s, (await replica.fresh_stats()).lag_s)

    assert 120 <= waiting.lag_s < 130
    assert done == (0.0, 0.0)


async def test_while_the_server_is_away_the_lag_is_seen_without_reading(
    store: Store, settings: InfluxSettings, influx: FaceProcess
) -> None:
    """The batch that waits tells how old it is."""
    now_us = make_replica(store, settings)._clock.now_us()
    await store.append([replace(state_event(), time_us=now_us - 60_000_000)])
    influx.fail_writes(503, count=100)
    replica = make_replica(store, settings)
    async with running(replica):
        await until(lambda: replica.stats.state is ReplicaState.RETRYING)
        assert 60 <= replica.stats.lag_s < 70
        influx.fail_writes(503)


async def test_points_per_second_are_counted(store: Store, settings: InfluxSettings) -> None:
    """The last minute's points over its seconds, of which at least one has passed."""
    await store.append(state_events(600))
    replica = make_replica(store, settings)
    async with running(replica):
        await caught_up(replica, 600)
        rate = replica.stats.points_per_s

    assert 100 < rate <= 600


async def test_the_filter_leaves_out_and_the_cursor_goes_on(
    store: Store, settings: InfluxSettings, influx: FaceProcess
) -> None:
    """What the filter does not keep is settled without being sent, also where a whole batch is left out."""
    await store.append(state_events(200))
    replica = make_replica(store, settings, keeps=lambda event: event.entity_id == "sensor.room_3")
    async with running(replica):
        await caught_up(replica, 200)
        await store.append(state_events(5, first=204))
        replica.notify()
        await caught_up(replica, 205)

    assert states(influx, settings) == [str(number) for number in range(3, 200, 10)]
    assert (replica.stats.sent, await cursor(store)) == (20, 205)


async def test_a_changed_filter_holds_from_the_next_event(
    store: Store, settings: InfluxSettings, influx: FaceProcess
) -> None:
    """Also for a batch that was read under the old filter and waits for the server."""
    await store.append(state_events(100))
    influx.fail_writes(503, count=1000)
    replica = make_replica(store, settings)
    async with running(replica):
        await until(lambda: replica.stats.state is ReplicaState.RETRYING)
        replica.use_filter(lambda event: event.entity_id != "sensor.room_7")
        influx.fail_writes(503)
        await caught_up(replica, 100)

    assert states(influx, settings) == [str(number) for number in range(100) if number % 10 != 7]


async def test_a_start_point_skips_what_is_older(store: Store, settings: InfluxSettings, influx: FaceProcess) -> None:
    """Older rows are not even read; an old event that is stored late is not sent either; the boundary is."""
    await store.append([*state_events(10), state_event(2, state="late"), *state_events(10, first=10)])
    replica = make_replica(store, replace(settings, since_us=START_US + 7_000))
    async with running(replica):
        await caught_up(replica, 21)

    assert states(influx, settings) == [str(number) for number in range(7, 20)]


async def test_a_start_point_of_now_begins_with_the_next_event(
    store: Store, settings: InfluxSettings, influx: FaceProcess
) -> None:
    """Nothing stored so far is young enough."""
    await store.append(state_events(10))
    replica = make_replica(store, replace(settings, since_us=START_US + 10_000))
    async with running(replica):
        await until(lambda: replica.stats.state is ReplicaState.FOLLOWING)
        begun = replica.stats.cursor
        await store.append(state_events(3, first=10))
        replica.notify()
        await caught_up(replica, 13)

    assert begun == 10
    assert states(influx, settings) == ["10", "11", "12"]


async def test_a_range_is_sent_again_before_new_events(
    store: Store, settings: InfluxSettings, influx: FaceProcess
) -> None:
    """Points that somebody deleted are back, twins in their old nanoseconds, and no point is there twice."""
    twin = replace(state_event(4), state="twin")
    await store.append([*state_events(5), twin, *state_events(95, first=5)])
    replica = make_replica(store, settings)
    async with running(replica):
        await caught_up(replica, 101)
        before = states(influx, settings)
        influx.influxql("DROP MEASUREMENT sensor", settings.bucket)
        await store.append(state_events(1, first=100))
        count = await replica.resend(START_US + 2_000, START_US + 50_000)
        replica.notify()
        await caught_up(replica, 102)

    assert count == 49
    assert states(influx, settings) == [*before[2:51], "100"]


async def test_a_resend_of_all_changes_nothing(store: Store, settings: InfluxSettings, influx: FaceProcess) -> None:
    """12,000 events twice are 12,000 points."""
    await store.append(state_events(12_000))
    replica = make_replica(store, settings)
    async with running(replica):
        await caught_up(replica, 12_000)
        count = await replica.resend(0, START_US * 2)
        await until(lambda: replica.stats.sent == 24_000)

    assert (count, replica.stats.cursor) == (12_000, 12_000)
    assert states(influx, settings) == [str(number) for number in range(12_000)]


async def test_a_resend_concerns_only_what_was_settled(store: Store, settings: InfluxSettings) -> None:
    """What has yet to be sent is not sent twice; a span without events is nothing to do."""
    await store.append(state_events(10))
    replica = make_replica(store, settings)

    before = await replica.resend(0, START_US * 2)
    async with running(replica):
        await caught_up(replica, 10)
        empty = await replica.resend(START_US + 20_000, START_US + 30_000)
        await asyncio.sleep(0.1)

    assert (before, empty, replica.stats.sent) == (0, 0, 10)


async def test_an_outage_during_a_resend_and_a_batch_that_waits_lose_nothing(
    store: Store, settings: InfluxSettings, influx: FaceProcess
) -> None:
    """A resend asked for while a batch of new events waits comes after it, and both are whole."""
    await store.append(state_events(6000))
    replica = make_replica(store, settings)
    async with running(replica):
        await caught_up(replica, 6000)
        influx.fail_writes(503, count=3)
        await store.append(state_events(10, first=6000))
        replica.notify()
        await until(lambda: replica.stats.state is ReplicaState.RETRYING)
        influx.influxql("DROP MEASUREMENT sensor", settings.bucket)
        await replica.resend(0, START_US * 2)
        await until(lambda: replica.stats.sent == 12_010)
        await store.append(state_events(10, first=6010))
        replica.notify()
        await caught_up(replica, 6020)

    assert states(influx, settings) == [str(number) for number in range(6020)]


async def test_a_refusal_during_a_resend_is_a_dead_letter_too(
    store: Store, settings: InfluxSettings, influx: FaceProcess
) -> None:
    """Somebody has changed a field's type since; the cursor stays where it is."""
    await store.append([*state_events(20), state_event(20, entity_id="climate.a")])
    replica = make_replica(store, settings)
    async with running(replica):
        await caught_up(replica, 21)
        influx.influxql("DROP MEASUREMENT climate", settings.bucket)
        form = f'climate value="text" {START_US * 1000}'.encode()
        influx._open(f"{influx.influxql_url}/write?db={settings.bucket}", form)
        await replica.resend(0, START_US * 2)
        await until(lambda: replica.stats.dead_letters == 1)
        await until(lambda: replica.stats.sent == 41)

    (letter,) = await Follower(store, "replica-1").dead_letters()
    assert (letter.event_id, await cursor(store)) == (21, 21)
    assert replica.acknowledges is True


async def test_a_listener_that_fails_keeps_nothing_from_being_delivered(
    store: Store, settings: InfluxSettings, influx: FaceProcess, influx_log: Log
) -> None:
    """Its error is logged, the events arrive."""

    def fail() -> None:
        raise RuntimeError("no screen")

    await store.append(state_events(10))
    replica = make_replica(store, settings, on_change=fail)
    async with running(replica):
        await caught_up(replica, 10)

    assert len(events(influx, settings)) == 10
    assert all("could not tell of a change" in record.getMessage() for record in influx_log)


async def test_ten_batches_are_read_ahead_and_arrive_in_order(
    store: Store, settings: InfluxSettings, influx: FaceProcess
) -> None:
    """While one is under way the next is read, twins across the border included; faults between change nothing."""
    twin = replace(state_event(4999), state="twin")
    await store.append([*state_events(4999), twin, replace(twin, state="twin 2"), *state_events(19_999, first=5001)])
    influx.fail_writes(503, count=2, after_storing=True)
    replica = make_replica(store, settings)
    async with running(replica):
        await caught_up(replica, 25_000)

    found = states(influx, settings)
    assert len(found) == 25_000
    assert {"twin", "twin 2"} < set(found)


class _FailingAhead(Follower):
    """Be a source that fails once, with the second batch."""

    failed = False

    async def events_after(self, row_id: int, limit: int) -> Sequence[Event]:
        """Fail for the rows that are read ahead."""
        if row_id == 5000 and not self.failed:
            self.failed = True
            raise StoreError("the disk hiccups", reason="io_error")
        return await super().events_after(row_id, limit)


async def test_what_cannot_be_read_ahead_is_read_again(
    store: Store, settings: InfluxSettings, influx: FaceProcess
) -> None:
    """The batch under way is not spoilt by it."""
    await store.append(state_events(12_000))
    replica = make_replica(_FailingAhead(store, "replica-1"), settings)
    async with running(replica):
        await caught_up(replica, 12_000)

    assert len(states(influx, settings)) == 12_000


async def test_two_stores_of_one_length_are_not_confused(
    store: Store, settings: InfluxSettings, influx: FaceProcess, tmp_path: Path
) -> None:
    """While a batch waits for the server, its store is exchanged for another that is longer: all of that arrives."""
    fresh = Store(tmp_path / "new.db", WallClock())
    await store.append(state_events(100))
    await fresh.append(state_events(300, first=1000))
    source = Swapped(store)
    influx.fail_writes(503, count=1000)
    replica = make_replica(source, settings)
    async with running(replica):
        await until(lambda: replica.stats.state is ReplicaState.RETRYING)
        source.store = fresh
        influx.fail_writes(503)
        await caught_up(replica, 300)
    await fresh.close()

    assert states(influx, settings) == [str(number) for number in range(1000, 1300)]


class _Forgetful(Follower):
    """Be a source that cannot persist the cursor the first times."""

    fails = 3

    async def advance(self, row_id: int, dead: Sequence[DeadLetter] = ()) -> None:
        """Fail, or persist."""
        if self.fails:
            # Late, so that what is read ahead is there by then.
            self.fails -= 1
            await asyncio.sleep(0.1)
            raise StoreError("the disk is full", reason="disk_full")
        await super().advance(row_id, dead)


async def test_what_could_not_be_persisted_is_sent_again_with_its_dead_letters(
    store: Store, settings: InfluxSettings, influx: FaceProcess
) -> None:
    """The server has taken the batch, the store has no room for the cursor: nothing is skipped, no letter is lost."""
    form = f'climate value="text" {START_US * 1000}'.encode()
    influx._open(f"{influx.influxql_url}/write?db={settings.bucket}", form)
    await store.append([state_event(0, entity_id="climate.a"), *state_events(11_999, first=1)])
    replica = make_replica(_Forgetful(store, "replica-1"), settings)
    async with running(replica):
        await caught_up(replica, 12_000)

    assert states(influx, settings) == [str(number) for number in range(1, 12_000)]
    assert await Follower(store, "replica-1").dead_letter_count() == 1


async def test_a_stop_while_the_next_batch_is_read_leaves_nothing_behind(
    store: Store, settings: InfluxSettings, influx: FaceProcess
) -> None:
    """The server hangs, the next batch is being read: the stop is quick, and the next run brings all."""
    await store.append(state_events(12_000))
    replica = make_replica(_SlowAhead(store, "replica-1"), settings)
    writes = influx.stats()["writes"]
    influx.freeze()
    try:
        async with running(replica):
            await until(lambda: influx.stats()["writes"] > writes)
            started = asyncio.get_running_loop().time()
            await replica.stop()
            took = asyncio.get_running_loop().time() - started
    finally:
        influx.thaw()
    again = make_replica(store, settings)
    async with running(again):
        await caught_up(again, 12_000)

    assert took < 0.9
    assert states(influx, settings) == [str(number) for number in range(12_000)]


class _SlowAhead(Follower):
    """Be a source that takes its time for all but the first batch."""

    async def events_after(self, row_id: int, limit: int) -> Sequence[Event]:
        """Wait if it is read ahead."""
        if row_id >= 5000:
            await asyncio.sleep(30)
        return await super().events_after(row_id, limit)


async def test_a_purge_during_a_resend_brings_nothing_back(
    store: Store, settings: InfluxSettings, influx: FaceProcess
) -> None:
    """The batch of the resend that waits was read before the purge; the resend begins again."""
    await store.append(state_events(100))
    replica = make_replica(store, settings)
    async with running(replica):
        await caught_up(replica, 100)
        influx.fail_writes(503, count=1000)
        await replica.resend(0, START_US * 2)
        await until(lambda: replica.stats.state is ReplicaState.RETRYING)
        await store.purge_entity("sensor.room_3")
        await replica.purge_entity("sensor.room_3")
        influx.fail_writes(503)
        await until(lambda: replica.stats.sent == 190)

    assert states(influx, settings) == [str(number) for number in range(100) if number % 10 != 3]
