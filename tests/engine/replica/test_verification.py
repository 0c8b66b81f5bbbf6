"""What a server says that it has stored is read back where that is wanted, and a server that lies is not believed."""

from dataclasses import replace
import json

import pytest

from homeiq_engine.replica import InfluxError, InfluxSettings, Layout, Reason, ReplicaState, check_connection
from homeiq_engine.replica._delivery import Delivery
from homeiq_engine.replica._verification import Verification
from homeiq_engine.store import Store
from tests.servers.face_process import FaceProcess
from tests.servers.recorded import Reply, recorded

from .conftest import WallClock
from .driving import Log, caught_up, make_replica, running, states, until
from .samples import encoder, state_event, state_events

pytestmark = pytest.mark.server

PING_2 = Reply(204, "", {"X-Influxdb-Version": "v2.7.12", "X-Influxdb-Build": "OSS"})
PING_1 = Reply(204, "", {"X-Influxdb-Version": "1.8.10", "X-Influxdb-Build": "OSS"})
FOUND_2 = (
    "#datatype,string,long,dateTime:RFC3339,double,string,string\r\n"
    "#group,false,false,false,false,true,true\r\n"
    "#default,_result,,,,,\r\n"
    ",result,table,_time,_value,_field,_measurement\r\n"
    ",,0,2026-09-22T00:00:00Z,1,value,sensor\r\n\r\n"
)


@pytest.fixture
def verified(settings: InfluxSettings) -> InfluxSettings:
    """Return settings with verification reads."""
    return replace(settings, verify_reads=True)


@pytest.mark.parametrize("layout", list(Layout))
async def test_a_server_that_stores_is_believed(
    store: Store, verified: InfluxSettings, influx: FaceProcess, layout: Layout
) -> None:
    """Every batch is looked for by its newest point, in either layout, and all goes on as without."""
    odd = replace(state_event(1), entity_id="sensor.o'brien\\s", state="x")
    await store.append([odd, *state_events(500, first=2), replace(state_event(502), entity_id=None)])
    replica = make_replica(store, replace(verified, layout=layout))
    async with running(replica):
        await caught_up(replica, 502)
        await store.append([replace(odd, time_us=odd.time_us + 1_000_000)])
        replica.notify()
        await caught_up(replica, 503)

    assert (replica.stats.unverified, replica.stats.last_error) == (0, None)


async def test_a_server_that_answers_204_without_storing_is_found_out(
    store: Store, verified: InfluxSettings, influx: FaceProcess, influx_log: Log
) -> None:
    """The cursor stands, however often it says so; when it stores again, everything arrives."""
    influx.behave(swallow=True)
    await store.append(state_events(1000))
    replica = make_replica(store, verified)
    async with running(replica):
        await until(lambda: replica._breaker.failures > 7)
        lying = replica.stats
        influx.behave()
        await caught_up(replica, 1000)

    assert (lying.cursor, lying.sent, lying.unverified) == (0, 0, 1)
    assert (lying.state, lying.last_reason) == (ReplicaState.RETRYING, Reason.NOT_STORED)
    assert states(influx, verified) == [str(number) for number in range(1000)]
    assert [record.levelname for record in influx_log] == ["WARNING", "INFO"]


async def test_without_the_option_a_lying_server_is_believed(
    store: Store, settings: InfluxSettings, influx: FaceProcess
) -> None:
    """That is what the option is for; a resend repairs it."""
    influx.behave(swallow=True)
    await store.append(state_events(10))
    replica = make_replica(store, settings)
    async with running(replica):
        await caught_up(replica, 10)
        lost = states(influx, settings)
        influx.behave()
        await replica.resend(0, 2**60)
        await until(lambda: replica.stats.sent == 20)

    assert lost == []
    assert len(states(influx, settings)) == 10


async def test_a_point_that_stays_away_alone_does_not_hold_up_the_rest(
    store: Store, verified: InfluxSettings, influx: FaceProcess, influx_log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server stores others: the third time the batch is counted as unverified, told of, and left."""
    monkeypatch.setattr(Verification, "find", lambda _self, batch: batch.last_id != 5)
    await store.append(state_events(5))
    replica = make_replica(store, verified)
    async with running(replica):
        await caught_up(replica, 5)
        await store.append(state_events(5, first=5))
        replica.notify()
        await caught_up(replica, 10)

    assert (replica.stats.unverified, replica.stats.sent) == (1, 10)
    assert any("does not keep all that it takes" in record.getMessage() for record in influx_log)


async def test_the_check_reads_its_point_back(verified: InfluxSettings, influx: FaceProcess) -> None:
    """A server that only says so does not pass, an honest one does."""
    await check_connection(verified)
    influx.behave(swallow=True)
    with pytest.raises(InfluxError) as caught:
        await check_connection(verified)

    assert caught.value.reason is Reason.NOT_STORED


def test_points_are_told_apart_by_time_and_entity(verified: InfluxSettings, influx: FaceProcess) -> None:
    """Another entity's point of that moment, or this one's of another moment, is not the one that was looked for."""
    delivery = Delivery(verified)
    verification = Verification(delivery)
    there = encoder("flat 1").encode([state_event(1, entity_id="sensor.a")])
    delivery.write(there.body)
    found = [
        verification.find(there),
        verification.find(encoder().encode([state_event(1, entity_id="sensor.b")])),
        verification.find(encoder().encode([state_event(2, entity_id="sensor.a")])),
    ]
    delivery.close()

    assert found == [True, False, False]


@pytest.mark.parametrize(("answer", "found"), [(FOUND_2, True), ("\r\n", False)], ids=["there", "not there"])
def test_an_influxdb_2_is_asked_in_flux(socket_enabled: None, answer: str, found: bool) -> None:
    """The query names bucket, nanosecond and entity; the answer is a recorded one of a version 2."""
    replies = {"GET /ping": PING_2, "POST /api/v2/query": Reply(200, answer, {"Content-Type": "text/csv"})}
    with recorded(replies) as told:
        settings = InfluxSettings(url=told.url, org="home", bucket='b"1', token="s3cret")
        delivery = Delivery(settings)
        seen = Verification(delivery).find(encoder().encode([state_event(1, entity_id='sensor.a"')]))
        delivery.close()

    (asked,) = [asked for asked in told.asked if asked.method == "POST"]
    time_ns = state_event(1).time_us * 1000
    assert seen is found
    assert json.loads(asked.body)["query"] == (
        f'from(bucket: "b\\"1") |> range(start: time(v: {time_ns}), stop: time(v: {time_ns + 1}))'
        ' |> filter(fn: (r) => r.entity_id == "sensor.a\\"") |> limit(n: 1)'
    )


@pytest.mark.parametrize(
    ("reply", "reason", "words"),
    [
        (Reply(401, '{"error": "unable to parse authentication credentials"}'), Reason.NO_READ_ACCESS, "credentials"),
        (Reply(403, '{"message": "forbidden"}'), Reason.NO_READ_ACCESS, "forbidden"),
        (Reply(503, ""), Reason.CANNOT_CONNECT, "503"),
        (Reply(200, '{"results": [{"error": "database not found: b"}]}'), Reason.UNKNOWN, "database not found"),
        (Reply(200, "<html>"), Reason.UNKNOWN, "not InfluxDB's"),
        (Reply(200, "{}"), Reason.UNKNOWN, "not InfluxDB's"),
    ],
)
async def test_what_cannot_be_read_is_not_taken_as_proof(
    socket_enabled: None, reply: Reply, reason: Reason, words: str
) -> None:
    """Neither for the point being there nor for its absence; the reason is named."""
    replies = {"GET /ping": PING_1, "POST /api/v2/write": Reply(204), "GET /query": reply}
    with recorded(replies) as told, pytest.raises(InfluxError) as caught:
        await check_connection(InfluxSettings(url=told.url, org="o", bucket="b", token="s3cret", verify_reads=True))

    assert caught.value.reason is reason
    assert words in caught.value.placeholders["error"]


def test_the_newest_point_of_a_batch_is_the_one_looked_for(verified: InfluxSettings, influx: FaceProcess) -> None:
    """Old ones may be beyond what the bucket keeps."""
    now_us = WallClock().now_us()
    batch = encoder().encode([replace(state_event(row), time_us=now_us - row * 1_000_000) for row in (3, 0, 5)])
    delivery = Delivery(verified)
    delivery.write(batch.lines[1].text)
    found = Verification(delivery).find(batch)
    delivery.close()

    assert found
