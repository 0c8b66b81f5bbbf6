"""The replica brings every event of a real store to a real server, once, whatever happens on the way."""

import asyncio
from dataclasses import replace
import logging
import time

import pytest

from homeiq_engine.replica import InfluxSettings, Layout, Reason, ReplicaState
from homeiq_engine.store import Store
from tests.servers.face_process import FaceProcess

from .conftest import WallClock
from .driving import Log, caught_up, cursor, make_replica, running, states, until
from .samples import state_event, state_events, twins

pytestmark = pytest.mark.server


async def test_every_stored_event_arrives(store: Store, settings: InfluxSettings, influx: FaceProcess) -> None:
    """12,000 events of ten entities, more than two batches, are all there, and the figures say so."""
    await store.append(state_events(12_000))
    replica = make_replica(store, settings)
    async with running(replica):
        await caught_up(replica, 12_000)
        stats = await replica.fresh_stats()

    assert states(influx, settings) == [str(number) for number in range(12_000)]
    assert await cursor(store) == 12_000
    assert (stats.state, stats.sent, stats.lag_events, stats.last_error) == (ReplicaState.FOLLOWING, 12_000, 0, None)
    assert 12_000 < stats.bytes_sent < 12_000 * 100
    assert abs(int(stats.last_success or 0) - WallClock().now_us()) < 60_000_000


async def test_news_are_delivered_at_once(store: Store, settings: InfluxSettings, influx: FaceProcess) -> None:
    """An idle replica that would rest for a minute wakes on notify."""
    replica = make_replica(store, settings)
    async with running(replica):
        await until(lambda: replica.stats.state is ReplicaState.FOLLOWING)
        await store.append(state_events(3))
        replica.notify()
        await caught_up(replica, 3)

    assert states(influx, settings) == ["0", "1", "2"]


async def test_without_news_the_store_is_looked_at_now_and_then(store: Store, settings: InfluxSettings) -> None:
    """A notify that never came costs one rest."""
    replica = make_replica(store, settings, idle_s=0.1)
    async with running(replica):
        await until(lambda: replica.stats.state is ReplicaState.FOLLOWING)
        await store.append(state_events(3))
        await caught_up(replica, 3)

    assert replica.stats.state is ReplicaState.STOPPED


async def test_a_server_that_goes_away_and_comes_back_misses_nothing(
    store: Store, settings: InfluxSettings, influx: FaceProcess, influx_log: Log
) -> None:
    """What was stored before, during and after the outage is there once each; the log has two lines."""
    replica = make_replica(store, settings)
    async with running(replica):
        await store.append(state_events(500))
        replica.notify()
        await caught_up(replica, 500)
        influx.stop()
        try:
            for first in range(500, 2500, 500):
                await store.append(state_events(500, first=first))
                replica.notify()
                await asyncio.sleep(0.1)
            await until(lambda: replica.stats.state is ReplicaState.RETRYING)
            outage = await replica.fresh_stats()
        finally:
            influx.start()
        await store.append(state_events(500, first=2500))
        replica.notify()
        await caught_up(replica, 3000)

    assert states(influx, settings) == [str(number) for number in range(3000)]
    assert (outage.cursor, outage.lag_events, outage.last_reason) == (500, 2000, Reason.CANNOT_CONNECT)
    warning, info = influx_log
    assert (warning.levelname, info.levelname) == ("WARNING", "INFO")
    assert "events wait in the store" in warning.getMessage()
    assert "is back after" in info.getMessage()


async def test_an_answer_lost_on_the_way_doubles_nothing(
    store: Store, settings: InfluxSettings, influx: FaceProcess
) -> None:
    """The server has kept the batch and the replica does not know: it sends again, twins included."""
    await store.append([*twins(50), *state_events(200, first=50)])
    influx.fail_writes(503, count=3, after_storing=True)
    replica = make_replica(store, settings)
    async with running(replica):
        await caught_up(replica, 250)

    assert len(influx.points(settings.bucket)) == 250
    assert states(influx, settings, "sensor.kitchen") == [str(number) for number in range(50)]


async def test_twins_on_both_sides_of_a_restart_stay_two(
    store: Store, settings: InfluxSettings, influx: FaceProcess
) -> None:
    """The next run's encoder knows the rows before its cursor."""
    first, second = twins(2)
    for event in (first, second):
        await store.append([event])
        replica = make_replica(store, settings)
        async with running(replica):
            await caught_up(replica, int(event.id or 0))

    assert states(influx, settings) == ["0", "1"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [({"token": "wrong"}, Reason.INVALID_AUTH), ({"token": FaceProcess.read_token}, Reason.NO_WRITE_ACCESS)],
)
async def test_without_the_right_to_write_events_wait(
    store: Store, settings: InfluxSettings, influx: FaceProcess, changes: dict[str, str], reason: Reason
) -> None:
    """The cursor stands, the reason shows, and nothing arrives."""
    await store.append(state_events(5))
    replica = make_replica(store, replace(settings, **changes))
    async with running(replica):
        await until(lambda: replica.stats.last_reason is reason)
        stats = await replica.fresh_stats()

    assert (stats.state, stats.cursor, stats.lag_events, stats.sent) == (ReplicaState.UNAUTHORIZED, 0, 5, 0)
    assert await cursor(store) == 0
    assert influx.points(settings.bucket) == []


async def test_a_new_reason_in_a_row_of_failures_has_its_own_line(
    store: Store, settings: InfluxSettings, influx: FaceProcess, caplog: pytest.LogCaptureFixture
) -> None:
    """A server that was away comes back and refuses the token: that is told too, and each only once."""
    await store.append(state_events(5))
    influx.fail_writes(503, count=3)
    replica = make_replica(store, replace(settings, token="wrong"))
    async with running(replica):
        await until(lambda: replica.stats.last_reason is Reason.INVALID_AUTH)
        failures = replica._breaker.failures
        await until(lambda: replica._breaker.failures > failures + 2)

    lines = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert [": 503: " in line for line in lines] == [True, False]
    assert ": 401: " in lines[1]


async def test_a_missing_bucket_is_used_as_soon_as_it_is_there(
    store: Store, settings: InfluxSettings, influx: FaceProcess
) -> None:
    """Somebody creates the bucket, and the events that waited arrive."""
    late = replace(settings, bucket=settings.bucket + "-late")
    await store.append(state_events(5))
    replica = make_replica(store, late)
    async with running(replica):
        await until(lambda: replica.stats.last_reason is Reason.BUCKET_NOT_FOUND)
        influx.create_bucket(late.bucket)
        await caught_up(replica, 5)

    assert len(influx.points(late.bucket)) == 5


async def test_the_servers_retry_after_is_honoured(store: Store, settings: InfluxSettings, influx: FaceProcess) -> None:
    """A server that asks for a second gets it, though the back-off would come sooner and news arrive."""
    await store.append(state_events(1))
    influx.fail_writes(429, retry_after="1")
    replica = make_replica(store, settings)
    async with running(replica):
        await until(lambda: replica.stats.state is ReplicaState.RETRYING)
        started = time.monotonic()
        replica.notify()
        await caught_up(replica, 1)

    assert time.monotonic() - started > 0.9


async def test_a_server_that_hangs_and_recovers_gets_everything(
    store: Store, settings: InfluxSettings, influx: FaceProcess
) -> None:
    """Requests time out while it hangs; nothing is there twice though the server carries them out later."""
    await store.append(state_events(100))
    replica = make_replica(store, settings, timeout_s=0.2)
    influx.freeze()
    try:
        async with running(replica):
            await until(lambda: replica.stats.last_reason is Reason.CANNOT_CONNECT)
            influx.thaw()
            await caught_up(replica, 100)
    finally:
        influx.thaw()

    assert states(influx, settings) == [str(number) for number in range(100)]


@pytest.mark.parametrize(
    "state", ["", " ", "a,b=c d", 'quo"ted', "back\\slash\\", "two\nlines", "😀🏠", "é" * 255, "x" * 255, "unavailable"]
)
async def test_any_state_arrives_as_it_is(
    store: Store, settings: InfluxSettings, influx: FaceProcess, state: str
) -> None:
    """Through store, encoder, compression and server, text stays the text."""
    await store.append([state_event(state=state)])
    replica = make_replica(store, settings)
    async with running(replica):
        await caught_up(replica, 1)

    assert states(influx, settings) == [state]


async def test_a_purged_entity_is_gone_and_does_not_come_back(
    store: Store, settings: InfluxSettings, influx: FaceProcess
) -> None:
    """Not even a batch that was read before the purge and is delivered after it brings it back."""
    replica = make_replica(store, settings)
    async with running(replica):
        await store.append(state_events(50))
        replica.notify()
        await caught_up(replica, 50)
        influx.fail_writes(503, count=1000)
        await store.append(state_events(50, first=50))
        replica.notify()
        await until(lambda: replica.stats.state is ReplicaState.RETRYING)
        await store.purge_entity("sensor.room_3")
        await replica.purge_entity("sensor.room_3")
        influx.fail_writes(503)
        await until(lambda: replica.stats.sent == 95)

    assert states(influx, settings) == [str(number) for number in range(100) if number % 10 != 3]


async def test_a_purge_that_fails_says_so(store: Store, settings: InfluxSettings) -> None:
    """The caller must know that the replica still holds the entity."""
    replica = make_replica(store, replace(settings, token=FaceProcess.read_token))

    with pytest.raises(Exception, match="insufficient permissions") as caught:
        await replica.purge_entity('odd"name\\')
    await replica.stop()

    assert caught.value.reason is Reason.NO_WRITE_ACCESS


async def test_purged_newest_rows_are_no_lag(store: Store, settings: InfluxSettings) -> None:
    """The store's last row id stays when its row goes; the replica does not wait for it."""
    await store.append([state_event(), state_event(1, entity_id="sensor.gone")])
    await store.purge_entity("sensor.gone")
    replica = make_replica(store, settings, idle_s=0.05)
    async with running(replica):
        await caught_up(replica, 1)
        await until(lambda: replica.stats.lag_events == 0)

    assert replica.stats.sent == 1


async def test_a_purge_in_layout_core_finds_the_entity_by_its_own_tags(
    store: Store, settings: InfluxSettings, influx: FaceProcess
) -> None:
    """Domain and object id together: another domain's entity of that name stays."""
    await store.append([state_event(1, entity_id="light.room"), state_event(2, entity_id="switch.room")])
    replica = make_replica(store, replace(settings, layout=Layout.CORE))
    async with running(replica):
        await caught_up(replica, 2)
        await store.purge_entity("light.room")
        await replica.purge_entity("light.room")

    assert [point["domain"] for point in influx.points(settings.bucket)] == ["switch"]
