"""What a real influxd gives back over InfluxQL equals what the store gives."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import count
import json
from typing import Any

from hypothesis import HealthCheck, given, settings as hypothesis_settings, strategies as st
import pytest

from homeiq_engine.model import MAX_LIMIT, Event, EventKind, EventQuery, Origin, QueryError
from homeiq_engine.replica import (
    InfluxError,
    InfluxSettings,
    Layout,
    QueryLanguage,
    Reason,
    ReplicaHistory,
    Server,
)
from homeiq_engine.replica._delivery import Delivery
from homeiq_engine.replica._history_influxql import identifier, select, text
from homeiq_engine.replica._history_points import MAX_NS, MIN_NS, Span
from homeiq_engine.store import Store
from tests.servers.debian_servers import free_port
from tests.servers.face_process import FaceProcess

from .history import EVENTS, QUERIES, comparable, filled_store, kept, pages, replicate
from .player import Player, playing
from .samples import START_US, state_event, state_events, twins

pytestmark = pytest.mark.server
_HOMES = count(1)


def _reader(settings: InfluxSettings, timeout_s: float = 10.0) -> ReplicaHistory:
    return ReplicaHistory(settings, language=QueryLanguage.INFLUXQL, timeout_s=timeout_s)


@hypothesis_settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(events=st.lists(EVENTS, min_size=1, max_size=30), query=QUERIES)
def test_every_answer_equals_the_stores(
    events: list[Event], query: EventQuery, settings: InfluxSettings, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """For any past and any question, all pages are as long, as ordered and hold the same as the store's."""
    # A home of its own in the shared bucket; what other homes have written must not show.
    home = replace(settings, home=f"home {next(_HOMES)}")
    replicate(home, events)

    async def answers() -> tuple[list[Sequence[Event]], list[Sequence[Event]]]:
        store = await filled_store(tmp_path_factory.mktemp("history"), events)
        try:
            return await pages(store, query), await pages(_reader(home), query)
        finally:
            await store.close()

    expected, found = asyncio.run(answers())

    assert [len(page) for page in found] == [len(page) for page in expected]
    assert comparable(sum(map(tuple, found), ())) == comparable(sum(map(tuple, expected), ()))


@pytest.mark.parametrize("newest_first", [False, True])
async def test_twins_come_back_in_their_order(settings: InfluxSettings, store: Store, newest_first: bool) -> None:
    """300 events of one entity in one microsecond, in pages of 7."""
    await store.append(twins(300))
    replicate(settings, twins(300))
    query = EventQuery(limit=7, newest_first=newest_first)

    expected, found = await pages(store, query), await pages(_reader(settings), query)

    assert [list(map(kept, page)) for page in found] == [list(map(kept, page)) for page in expected]


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("limit", [1, 137, 2000, 2001])
async def test_pages_over_many_entities_are_complete(
    settings: InfluxSettings, store: Store, limit: int, newest_first: bool
) -> None:
    """2,000 events of 40 domains, some far busier than others."""
    events = [
        replace(event, entity_id=f"domain_{number % (1 + number % 40)}.a")
        for number, event in enumerate(state_events(2000))
    ]
    await store.append(events)
    replicate(settings, events)
    query = EventQuery(limit=limit, newest_first=newest_first, start_us=START_US + 1000 * (2000 - 10 * limit))

    expected, found = await pages(store, query), await pages(_reader(settings), query)

    assert [list(map(kept, page)) for page in found] == [list(map(kept, page)) for page in expected]


async def test_more_series_in_one_nanosecond_than_are_asked_for_are_found(settings: InfluxSettings) -> None:
    """250 lamps that go out in the same microsecond, one by one."""
    replicate(settings, [replace(state_event(), entity_id=f"light.l{n}", id=n + 1) for n in range(250)])
    replicate(settings, [replace(state_event(), entity_id="switch.s")])

    found = await pages(_reader(settings), EventQuery(limit=1))

    assert {event.entity_id for (event,) in found} == {*(f"light.l{n}" for n in range(250)), "switch.s"}
    assert len(found) == 251


async def test_what_comes_while_paging_neither_doubles_nor_hides_anything(settings: InfluxSettings) -> None:
    """Late events before and at the cursor's microsecond leave the rest of the pages as they were."""
    events = state_events(20)
    replicate(settings, events)
    reader = _reader(settings)
    first = await reader.query(EventQuery(limit=10))
    replicate(settings, [replace(event, entity_id="light.late") for event in events])

    rest = await pages(reader, EventQuery(limit=100, cursor=first.next_cursor))
    second = await reader.query(EventQuery(limit=100, cursor=first.next_cursor, entity_ids=_ROOMS))

    assert [event.state for event in second.events] == [str(n) for n in range(10, 20)]
    assert {event.state for event in rest[0] if event.entity_id != "light.late"} >= {str(n) for n in range(10, 20)}


_ROOMS = tuple(f"sensor.room_{n}" for n in range(10))


@pytest.mark.parametrize("home", ["", "flat 1", "o'hara", 'q"q', "ends\\", "' OR '1'='1"])
async def test_homes_in_one_bucket_are_apart(settings: InfluxSettings, home: str) -> None:
    """Each reader sees the events of its own home tag, also the one without."""
    for name in ("", "flat 1", "o'hara", 'q"q', "ends\\", "' OR '1'='1"):
        replicate(replace(settings, home=name), [state_event(state=f"of {name}")])

    page = await _reader(replace(settings, home=home)).query(EventQuery())

    assert [event.state for event in page.events] == [f"of {home}"]


async def test_what_others_have_written_is_not_taken_for_events(settings: InfluxSettings, influx: FaceProcess) -> None:
    """Points of Home Assistant's own integration and of the connection check lie in the same bucket."""
    lines = (
        b'\xc2\xb0C,domain=sensor,entity_id=kitchen,home=flat\\ 1 value=21,state_str="x" 1000000000\n'
        b"light,domain=light,entity_id=kitchen,home=flat\\ 1 value=1 1000000000\n"
        b'light,entity_id=light.a,home=flat\\ 1,origin=nobody state="on" 1000000000\n'
        b'Other,entity_id=light.a,home=flat\\ 1,origin=user state="on" 1000000000\n'
        b"homeiq_check,home=flat\\ 1 connected=true 1000000000"
    )
    delivery = Delivery(settings)
    delivery.write(lines)
    delivery.close()
    replicate(settings, [state_event()])

    page = await _reader(settings).query(EventQuery())

    assert page.events == (kept(state_event()),)


async def test_without_a_language_the_server_is_asked_what_it_is(settings: InfluxSettings) -> None:
    """An influxd 1.6.7 has no Flux."""
    replicate(settings, [state_event()])

    assert (await ReplicaHistory(settings).query(EventQuery())).events == (kept(state_event()),)


async def test_an_empty_bucket_answers_an_empty_page(settings: InfluxSettings) -> None:
    """There are no measurements to ask for."""
    page = await _reader(settings).query(EventQuery())

    assert (page.events, page.next_cursor) == ((), None)


@pytest.mark.parametrize(
    "nothing",
    [
        EventQuery(entity_ids=()),
        EventQuery(kinds=()),
        EventQuery(origins=()),
        EventQuery(entity_ids=("", "light.\x00")),
        EventQuery(start_us=2**62),
        EventQuery(end_us=-(2**62)),
        EventQuery(entity_ids=("light.none",), kinds=(EventKind.STATE,)),
    ],
)
async def test_a_question_that_nothing_can_fit_finds_nothing(settings: InfluxSettings, nothing: EventQuery) -> None:
    """As with the store, that is no error."""
    replicate(settings, [state_event()])

    page = await _reader(settings).query(nothing)

    assert (page.events, page.next_cursor) == ((), None)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": MAX_LIMIT + 1}, "limit"),
        ({"start_us": 2**63}, "start"),
        ({"end_us": -(2**63)}, "end"),
        ({"start_us": 5, "end_us": 5}, "end"),
        ({"cursor": "r1-'; DROP DATABASE x"}, "cursor"),
        ({"cursor": ""}, "cursor"),
    ],
)
async def test_a_question_that_does_not_fit_is_refused_as_the_store_does(
    fields: dict[str, object], named: str, store: Store, settings: InfluxSettings
) -> None:
    """The error names the field and the value, in the same words."""
    query = EventQuery(**fields)
    with pytest.raises(QueryError) as from_replica:
        await _reader(settings).query(query)
    with pytest.raises(QueryError) as from_store:
        await store.query(query)

    assert (str(from_replica.value), from_replica.value.placeholders["field"]) == (str(from_store.value), named)
    assert from_replica.value.placeholders == from_store.value.placeholders


@pytest.mark.parametrize("cursor", ["1790000000000000-7", f"r{MAX_NS + 1}-0123456789abcdef", "r1-0123456789ABCDEF"])
async def test_a_cursor_of_another_reader_is_refused(cursor: str, settings: InfluxSettings) -> None:
    """The store's cursors mean nothing here."""
    with pytest.raises(QueryError) as caught:
        await _reader(settings).query(EventQuery(cursor=cursor))

    assert caught.value.placeholders == {"field": "cursor", "value": cursor}


@pytest.mark.parametrize("changes", [{"layout": Layout.CORE}, {"metrics_only": True}])
def test_a_replica_that_has_not_kept_all_cannot_be_read(changes: dict[str, Any], settings: InfluxSettings) -> None:
    """Home Assistant's own layout has neither origins nor contexts, VictoriaMetrics numbers only."""
    with pytest.raises(InfluxError, match="layout lean"):
        _reader(replace(settings, **changes))


@pytest.mark.parametrize(
    ("server", "language"),
    [
        (Server.INFLUXDB_1, QueryLanguage.INFLUXQL),
        (Server.INFLUXDB_2, QueryLanguage.FLUX),
        (Server.INFLUXDB_3, QueryLanguage.INFLUXQL),
        (Server.UNKNOWN, QueryLanguage.INFLUXQL),
    ],
)
def test_a_server_is_asked_in_its_own_language(server: Server, language: QueryLanguage) -> None:
    """Flux is InfluxDB 2's alone."""
    assert QueryLanguage.of(server) is language


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"bucket": "missing"}, Reason.BUCKET_NOT_FOUND),
        ({"token": "wrong"}, Reason.INVALID_AUTH),
        ({"url": f"http://127.0.0.1:{free_port()}"}, Reason.CANNOT_CONNECT),
        ({"url": "http://host:port"}, Reason.INVALID_URL),
        ({"url": "http://.example..:80"}, Reason.INVALID_URL),
        ({"home": "\x00"}, Reason.UNKNOWN),
    ],
)
async def test_what_is_wrong_has_a_reason(settings: InfluxSettings, changes: dict[str, str], reason: Reason) -> None:
    """The same words as for writing, and never the token."""
    replicate(settings, [state_event()])
    with pytest.raises(InfluxError) as caught:
        await _reader(replace(settings, **changes)).query(EventQuery())

    assert caught.value.reason is reason
    assert settings.token not in f"{caught.value} {caught.value.placeholders}"


async def test_a_server_that_hangs_is_given_up(settings: InfluxSettings, influx: FaceProcess) -> None:
    """The time limit holds for reading too."""
    influx.freeze()
    try:
        with pytest.raises(InfluxError) as caught:
            await _reader(settings, timeout_s=0.5).query(EventQuery())
    finally:
        influx.thaw()

    assert caught.value.reason is Reason.CANNOT_CONNECT


@pytest.mark.parametrize(
    "name",
    ["plain", "o'hara", 'q"q', "back\\slash", "ends\\", "\\'", "a\nb", "'; DROP DATABASE homeiq; --", "küche", "%$"],
)
def test_no_value_gets_out_of_its_quotes(name: str, influx: FaceProcess, settings: InfluxSettings) -> None:
    """Influxd reads a quoted name and a quoted string as exactly what they were: the row is found, under the name."""
    in_line = name.replace("\\", "\\\\").replace('"', '\\"')
    delivery = Delivery(settings)
    delivery.write(f'm s="{in_line}",v=1 1'.encode())
    delivery.close()

    (row,) = influx.influxql(f"SELECT v AS {identifier(name)} FROM m WHERE s = {text(name)}", settings.bucket)

    assert row == {"measurement": "m", "time": 1, name: 1}


def test_the_statement_names_all_that_is_asked_for() -> None:
    """Bounds, home, origins and entities are in it, and the number of rows."""
    query = EventQuery(entity_ids=("light.a", "x'y"), origins=(Origin.USER, Origin.DEVICE), newest_first=True)
    span = Span(first_ns=MIN_NS, last_ns=5, newest_first=True, most=11)

    statement = select(["light", "homeiq_call"], query, "flat 1", span, 7)

    assert statement.endswith(
        ' FROM "light", "homeiq_call" WHERE time >= -9223372036854775806 AND time <= 5 AND "home" = \'flat 1\''
        " AND (\"origin\" = 'user' OR \"origin\" = 'device') AND (\"entity_id\" = 'light.a' OR \"entity_id\" = 'x\\'y')"
        " ORDER BY time DESC LIMIT 7"
    )


@pytest.fixture
def player(socket_enabled: None) -> Iterator[Player]:
    """Return a server that plays recordings."""
    with playing() as player:
        yield player


def _series(*numbers: int, **more: object) -> dict[str, object]:
    values = [[START_US * 1000 + number, "user", f"light.l{number}", "on"] for number in numbers]
    return {"name": "light", "columns": ["time", "origin", "entity_id", "state"], "values": values, **more}


def _answer(*series: object) -> tuple[int, str]:
    return 200, json.dumps({"results": [{"statement_id": 0, "series": series}]})


_LIGHT = _answer({"name": "measurements", "columns": ["name"], "values": [["light"], ["cpu load"]]})


def _played(player: Player) -> ReplicaHistory:
    return _reader(InfluxSettings(url=player.url, org="home", bucket="homeiq", token="a-token"))


async def test_an_answer_that_the_server_has_cut_is_gone_on_with(player: Player) -> None:
    """A server with a limit of its own (max-row-limit) says that its rows are not all."""
    player.answers = [_LIGHT, _answer(_series(0, 1, 2, partial=True)), _answer(_series(2, 3, 4))]

    page = await _played(player).query(EventQuery(limit=10))

    assert [event.entity_id for event in page.events] == [f"light.l{number}" for number in range(5)]
    assert [path.partition("?")[0] for path, _ in player.requests] == ["/query"] * 3
    assert f"time >= {START_US * 1000 + 2} " in player.asked[2]


async def test_a_server_that_never_gives_a_whole_nanosecond_is_given_up(player: Player) -> None:
    """More rows are asked for each time, but not for ever."""
    player.answers = [_LIGHT, *[_answer(_series(0, partial=True))] * 20]

    with pytest.raises(InfluxError, match="too short") as caught:
        await _played(player).query(EventQuery(limit=10))

    assert caught.value.reason is Reason.UNKNOWN


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ((200, "<html>Please log in</html>"), Reason.INVALID_URL),
        ((200, "[]"), Reason.INVALID_URL),
        ((200, "{}"), Reason.INVALID_URL),
        ((200, '{"results":[]}'), Reason.INVALID_URL),
        ((200, '{"results":[{"series":[{}]}]}'), Reason.INVALID_URL),
        ((200, '{"results":[{"error":"timeout"}]}'), Reason.UNKNOWN),
        ((403, '{"code":"forbidden","message":"no"}'), Reason.NO_READ_ACCESS),
        ((404, '{"code":"not found","message":"no dbrp mapping found"}'), Reason.BUCKET_NOT_FOUND),
        ((404, "<html>"), Reason.INVALID_URL),
        ((405, ""), Reason.INVALID_URL),
        ((429, ""), Reason.UNKNOWN),
        ((500, '{"error":"engine is closed"}'), Reason.CANNOT_CONNECT),
        ((400, '{"error":"error parsing query"}'), Reason.UNKNOWN),
    ],
)
async def test_an_answer_that_is_none_has_a_reason(player: Player, answer: tuple[int, str], reason: Reason) -> None:
    """Login pages, proxies and other servers answer too."""
    player.answers = [answer]

    with pytest.raises(InfluxError) as caught:
        await _played(player).query(EventQuery())

    assert (caught.value.reason, caught.value.code) == (reason, "replica")
    assert "a-token" not in str(caught.value)
