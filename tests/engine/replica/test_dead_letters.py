"""What a real influxd refuses is set aside with its words, alone; all else arrives, and may be tried again."""

import asyncio
from dataclasses import replace
import json

import pytest

from homeiq_engine.replica import InfluxError, InfluxSettings, Reason, ReplicaState
from homeiq_engine.store import Follower, Store
from tests.servers.face_process import FaceProcess
from tests.servers.recorded import Reply, recorded

from .conftest import WallClock
from .driving import Log, caught_up, cursor, events, make_replica, running, states, until
from .samples import START_US, state_event, state_events, twins

pytestmark = pytest.mark.server


@pytest.fixture
def follower(store: Store) -> Follower:
    """Return what the replica follows."""
    return Follower(store, "replica-1")


def _poison(influx: FaceProcess, settings: InfluxSettings, *measurements: str) -> None:
    """Write ``value`` as text into measurements, on the day of the samples, as somebody else might have done."""
    lines = "\n".join(f'{name} value="text" {START_US * 1000 + 1}' for name in measurements)
    influx._open(f"{influx.influxql_url}/write?db={settings.bucket}", lines.encode())


def _cure(influx: FaceProcess, settings: InfluxSettings, *measurements: str) -> None:
    for name in measurements:
        influx.influxql(f'DROP MEASUREMENT "{name}"', settings.bucket)


async def test_a_poisoned_point_among_5000_is_the_only_dead_letter(
    store: Store, settings: InfluxSettings, influx: FaceProcess, follower: Follower, influx_log: Log
) -> None:
    """One type conflict in a batch: its event is set aside with influxd's words, 4,999 arrive, one line is logged."""
    _poison(influx, settings, "climate")
    batch = [*state_events(3210), state_event(3210, entity_id="climate.a"), *state_events(1789, first=3211)]
    await store.append(batch)
    replica = make_replica(store, settings)
    async with running(replica):
        await caught_up(replica, 5000)
        stats = replica.stats

    (letter,) = await follower.dead_letters()
    assert states(influx, settings) == [str(number) for number in range(5000) if number != 3210]
    assert (letter.event_id, letter.entity_id, letter.status) == (3211, "climate.a", 422)
    assert letter.time_us == batch[3210].time_us
    assert "field type conflict" in letter.words
    assert letter.line.startswith("climate,")
    assert letter.line.endswith(f" {letter.time_us * 1000}")
    assert (stats.dead_letters, stats.sent, stats.state) == (1, 4999, ReplicaState.FOLLOWING)
    assert await cursor(store) == 5000
    (warning,) = influx_log
    assert "refuses events, which are kept as dead letters" in warning.getMessage()


async def test_scattered_poison_is_found_to_the_last_point(
    store: Store, settings: InfluxSettings, influx: FaceProcess, follower: Follower
) -> None:
    """Bad points at both ends, side by side and in between: those and no others."""
    bad = {0, 1, 499, 500, 777, 998, 999}
    _poison(influx, settings, "climate")
    await store.append([state_event(row, entity_id="climate.a" if row in bad else "sensor.a") for row in range(1000)])
    replica = make_replica(store, settings)
    async with running(replica):
        await caught_up(replica, 1000)

    assert [letter.event_id - 1 for letter in await follower.dead_letters()] == sorted(bad)
    assert len(states(influx, settings, "sensor.a")) == 993


async def test_a_batch_that_is_all_bad_costs_four_requests(
    store: Store, settings: InfluxSettings, influx: FaceProcess, follower: Follower
) -> None:
    """The server says how many points it dropped; where that is all of them, none need be tried alone.

    It is asked twice, with a sound point between: what refuses everything for a moment makes no dead letters.
    """
    _poison(influx, settings, "sensor")
    await store.append(state_events(3000))
    before = influx.stats()["writes"]
    replica = make_replica(store, settings)
    async with running(replica):
        await caught_up(replica, 3000)

    assert await follower.dead_letter_count() == 3000
    assert influx.stats()["writes"] - before == 4


async def test_a_refused_line_that_cannot_be_parsed_is_set_aside(
    store: Store, settings: InfluxSettings, influx: FaceProcess, follower: Follower, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Should the encoder ever write a line that is none, it is a dead letter and not the end of the replica."""
    monkeypatch.setattr("homeiq_engine.replica._lean.number", lambda value: str(value).replace("13.0", "1x3"))
    await store.append(state_events(300))
    replica = make_replica(store, settings)
    async with running(replica):
        await caught_up(replica, 300)

    letters = await follower.dead_letters()
    assert [letter.event_id - 1 for letter in letters] == [13, 113, 213]
    assert all("unable to parse" in letter.words for letter in letters)
    assert states(influx, settings) == [str(row) for row in range(300) if row % 100 != 13]


@pytest.mark.parametrize("body", ["<html>Bad Request</html>", '{"code": "invalid", "message": "no"}'])
@pytest.mark.parametrize("status", [400, 422, 413])
async def test_where_every_point_is_refused_no_point_is_to_blame(
    store: Store, settings: InfluxSettings, influx: FaceProcess, follower: Follower, status: int, body: str
) -> None:
    """A proxy that refuses all writes, just after one has passed, fills no dead letters: events wait until it is gone."""
    await store.append(state_events(100))
    influx.fail_writes(status, count=16, body=body)
    replica = make_replica(store, settings)
    replica._dispatcher._vouched_at = replica._clock.monotonic()
    async with running(replica):
        await until(lambda: replica.stats.state is ReplicaState.RETRYING)
        waiting = (replica.stats.cursor, replica.stats.dead_letters)
        await caught_up(replica, 100)

    assert waiting == (0, 0)
    assert await follower.dead_letter_count() == 0
    assert len(states(influx, settings)) == 100


async def test_a_server_that_goes_away_while_points_are_tried_is_waited_for(
    store: Store, settings: InfluxSettings, influx: FaceProcess, follower: Follower
) -> None:
    """The refusal of a batch, then an outage: the search goes on where it was, nothing is lost."""
    _poison(influx, settings, "climate")
    await store.append([*state_events(500), state_event(500, entity_id="climate.a"), *state_events(500, first=501)])
    replica = make_replica(store, settings)
    before = influx.stats()["writes"]
    async with running(replica):
        await until(lambda: influx.stats()["writes"] > before + 3)
        influx.fail_writes(503, count=4)
        await caught_up(replica, 1001)

    assert [letter.event_id for letter in await follower.dead_letters()] == [501]
    assert len(states(influx, settings)) == 1000


async def test_points_beyond_the_buckets_retention_hold_nothing_up(
    store: Store, settings: InfluxSettings, influx: FaceProcess, follower: Follower, influx_log: Log
) -> None:
    """A bucket that keeps an hour refuses older points and keeps the others of the batch: none is a dead letter."""
    short = replace(settings, bucket=f"{settings.bucket}-short")
    influx.influxql(f'CREATE DATABASE "{short.bucket}" WITH DURATION 1h SHARD DURATION 1h')
    fresh = [
        replace(state_event(), time_us=WallClock().now_us() - number, state=f"new {number}") for number in range(5)
    ]
    await store.append([*state_events(10), *fresh])
    replica = make_replica(store, short)
    async with running(replica):
        await caught_up(replica, 15)

    assert await follower.dead_letter_count() == 0
    assert sorted(states(influx, short)) == sorted(one.state or "" for one in fresh)
    (warning,) = influx_log
    assert "keeps no events as old as some" in warning.getMessage()


async def test_dead_letters_are_delivered_once_the_reason_is_gone(
    store: Store, settings: InfluxSettings, influx: FaceProcess, follower: Follower
) -> None:
    """The wrong measurement is dropped, the letters are sent again: all arrive, twins too, and no letter is left."""
    _poison(influx, settings, "sensor")
    await store.append([*twins(3), *state_events(150, first=3)])
    replica = make_replica(store, settings)
    async with running(replica):
        await caught_up(replica, 153)
        held = (await replica.fresh_stats()).dead_letters
        _cure(influx, settings, "sensor")
        answer = await replica.retry_dead_letters()
        left = replica.stats.dead_letters

    assert (held, answer, left) == (153, (153, 0), 0)
    assert sorted(states(influx, settings), key=int) == [str(number) for number in range(153)]
    assert await follower.dead_letter_count() == 0


async def test_what_is_refused_again_stays_a_dead_letter(
    store: Store, settings: InfluxSettings, influx: FaceProcess, follower: Follower
) -> None:
    """Of two reasons one is gone: its letters are delivered, the others stay with the words of the second refusal."""
    _poison(influx, settings, "sensor", "climate")
    await store.append([state_event(row, entity_id=("climate.a", "sensor.a")[row % 2]) for row in range(120)])
    replica = make_replica(store, settings)
    async with running(replica):
        await caught_up(replica, 120)
        first = await follower.dead_letters(limit=1000)
        _cure(influx, settings, "sensor")
        answer = await replica.retry_dead_letters()

    left = await follower.dead_letters(limit=1000)
    assert (len(first), answer) == (120, (60, 60))
    assert {letter.entity_id for letter in left} == {"climate.a"}
    assert all(letter.noted_us > first[-1].noted_us for letter in left)
    assert [letter.id for letter in left] == [letter.id for letter in first if letter.entity_id == "climate.a"]


async def test_a_retry_without_a_server_says_so_and_loses_nothing(
    store: Store, settings: InfluxSettings, influx: FaceProcess, follower: Follower
) -> None:
    """The error is the server's, and the letters are still there."""
    _poison(influx, settings, "sensor")
    await store.append(state_events(5))
    replica = make_replica(store, settings)
    async with running(replica):
        await caught_up(replica, 5)
        influx.fail_writes(503)
        with pytest.raises(InfluxError) as caught:
            await replica.retry_dead_letters()

    assert caught.value.reason is Reason.CANNOT_CONNECT
    assert await follower.dead_letter_count() == 5


async def test_a_letter_whose_event_is_gone_is_sent_as_it_was_kept(
    store: Store, settings: InfluxSettings, influx: FaceProcess, follower: Follower
) -> None:
    """Retention has taken the event from the store; its line is whole and does."""
    _poison(influx, settings, "sensor")
    await store.append(state_events(5))
    replica = make_replica(store, settings)
    async with running(replica):
        await caught_up(replica, 5)
        await store.purge_before(START_US + 10_000)
        _cure(influx, settings, "sensor")
        answer = await replica.retry_dead_letters()

    assert answer == (5, 0)
    assert states(influx, settings) == [str(number) for number in range(5)]


async def test_a_cut_letter_is_sent_whole_from_its_event(
    store: Store, settings: InfluxSettings, influx: FaceProcess, follower: Follower
) -> None:
    """A letter keeps 64 KB of its line; with the event in the store that costs nothing."""
    _poison(influx, settings, "sensor")
    long = replace(state_event(), payload="x" * 60_000, user_id="y" * 20_000)
    await store.append([long])
    replica = make_replica(store, settings)
    async with running(replica):
        await caught_up(replica, 1)
        (letter,) = await follower.dead_letters()
        _cure(influx, settings, "sensor")
        answer = await replica.retry_dead_letters()

    (point,) = events(influx, settings)
    assert (letter.whole, len(letter.line.encode())) == (False, 65_536)
    assert answer == (1, 0)
    assert (len(str(point["data"])), len(str(point["user"]))) == (60_000, 20_000)


async def test_a_retry_before_the_first_delivery_keeps_the_start(
    store: Store, settings: InfluxSettings, influx: FaceProcess
) -> None:
    """Asked before anything was read, it delivers nothing and spoils nothing."""
    await store.append(state_events(5))
    replica = make_replica(store, settings)

    answer = await replica.retry_dead_letters()
    async with running(replica):
        await caught_up(replica, 5)

    assert answer == (0, 0)
    assert len(states(influx, settings)) == 5


async def test_the_token_is_in_no_letter(store: Store, settings: InfluxSettings, follower: Follower) -> None:
    """A server that repeats what it was sent does not bring the token into the store."""
    await store.append([state_event()])
    refused = Reply(422, f'{{"message": "refused for {settings.token}"}}')
    # The event, a sound point twice, the event again.
    replies = [refused, Reply(204), Reply(204), refused, Reply(204)]
    with recorded({"POST /api/v2/write": replies}) as told:
        replica = make_replica(store, replace(settings, url=told.url))
        async with running(replica):
            await caught_up(replica, 1)

    (letter,) = await follower.dead_letters()
    assert letter.words == "422: refused for **REDACTED**"


async def test_a_purge_recounts_the_letters(store: Store, settings: InfluxSettings, influx: FaceProcess) -> None:
    """The store has deleted the entity's letters; the figure follows."""
    _poison(influx, settings, "sensor")
    await store.append([state_event(0, entity_id="sensor.a"), state_event(1, entity_id="sensor.b")])
    replica = make_replica(store, settings)
    async with running(replica):
        await caught_up(replica, 2)
        await store.purge_entity("sensor.a")
        await replica.purge_entity("sensor.a")
        replica.notify()
        await until(lambda: replica.stats.dead_letters == 1)

    assert (await replica.fresh_stats()).dead_letters == 1


async def test_a_retry_of_a_stopped_replica_says_so(
    store: Store, settings: InfluxSettings, influx: FaceProcess, follower: Follower
) -> None:
    """Also if the stop comes while the request is under way; the letters stay."""
    _poison(influx, settings, "sensor")
    await store.append(state_events(5))
    replica = make_replica(store, settings)
    async with running(replica):
        await caught_up(replica, 5)
        influx.freeze()
        try:
            retry = asyncio.ensure_future(replica.retry_dead_letters())
            await asyncio.sleep(0.2)
            await replica.stop()
            with pytest.raises(InfluxError, match="stopped"):
                await retry
        finally:
            influx.thaw()
    with pytest.raises(InfluxError):
        await replica.retry_dead_letters()

    assert await follower.dead_letter_count() == 5


async def test_partly_taken_is_not_taken(store: Store, settings: InfluxSettings, follower: Follower) -> None:
    """201 with words is how some versions of InfluxDB 3 refuse points; the first line's own words are kept."""
    said = {
        "error": "partial write of line protocol occurred",
        "data": [{"original_line": "sensor", "line_number": 1, "error_message": "invalid column type"}],
    }
    await store.append(state_events(1))
    refused = Reply(201, json.dumps(said))
    replies = [refused, Reply(204), Reply(204), refused, Reply(204)]
    with recorded({"POST /api/v2/write": replies}) as told:
        replica = make_replica(store, replace(settings, url=told.url))
        async with running(replica):
            await caught_up(replica, 1)

    (letter,) = await follower.dead_letters()
    assert (letter.status, letter.words) == (
        201,
        "201: partial write of line protocol occurred: invalid column type",
    )


async def test_a_single_line_that_is_too_large_is_no_letter_where_nothing_is_taken(
    store: Store, settings: InfluxSettings, follower: Follower
) -> None:
    """A proxy that answers 413 to everything is a fault of the connection."""
    await store.append(state_events(8))
    with recorded({"POST /api/v2/write": Reply(413, "")}) as told:
        replica = make_replica(store, replace(settings, url=told.url))
        async with running(replica):
            await until(lambda: replica.stats.state is ReplicaState.RETRYING)

    assert (replica.stats.cursor, await follower.dead_letter_count()) == (0, 0)
