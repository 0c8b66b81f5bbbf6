"""Recorded answers of InfluxDB 2 become the events that they were, and the scripts ask for exactly what is wanted."""

from collections.abc import Iterator, Sequence
import re

from hypothesis import given, strategies as st
import pytest

from homeiq_engine.model import EntityFacts, Event, EventKind, EventQuery, Origin
from homeiq_engine.replica import InfluxError, InfluxSettings, QueryLanguage, Reason, ReplicaHistory
from homeiq_engine.replica._history_flux import script, text
from homeiq_engine.replica._history_points import MAX_NS, MIN_NS, Span

from . import flux_recordings as recorded
from .history import pages
from .player import Player, playing
from .samples import START_US

pytestmark = pytest.mark.server

LIGHT = EntityFacts(registry_id="5f0c", area_id="kitchen", integration="hue")
FIVE_EVENTS = (
    Event(
        kind=EventKind.STATE, time_us=START_US, origin=Origin.USER, entity_id="light.kitchen", state="on",
        old_state="off", held_us=12_500_000, payload='{"brightness":128,"friendly_name":"Küche, groß"}',
        context_id="01JXXXXXXXXXXXXXXXXXXXXXXX", responsible="0123abc", facts=LIGHT,
    ),
    Event(
        kind=EventKind.STATE, time_us=START_US, origin=Origin.DEVICE, entity_id="light.kitchen", state="", old_state="",
        facts=LIGHT,
    ),
    Event(
        kind=EventKind.STATE, time_us=START_US + 1000, origin=Origin.DEVICE, entity_id="sensor.note",
        state='two "lines", one\ncomma', old_state="null", held_us=1,
    ),
    Event(
        kind=EventKind.STATE, time_us=START_US + 2000, origin=Origin.SYSTEM, entity_id="switch.old", state=None,
        old_state="on", held_us=86_400_000_000,
    ),
    Event(
        kind=EventKind.CALL, time_us=START_US + 3000, origin=Origin.USER, name="light.turn_on",
        payload='{"entity_id":["light.kitchen"]}', responsible="0123abc",
    ),
)  # fmt: skip


@pytest.fixture
def player(socket_enabled: None) -> Iterator[Player]:
    """Return a server that plays recordings."""
    with playing() as player:
        yield player


@pytest.fixture
def reader(player: Player) -> ReplicaHistory:
    """Return a reader of the player's server."""
    settings = InfluxSettings(url=player.url, org="home", bucket="homeiq", token="a-token", home="flat 1")
    return ReplicaHistory(settings, language=QueryLanguage.FLUX)


def _edges(player: Player) -> Sequence[tuple[str, str, str]]:
    """Return start, stop and number of rows of each script."""
    found = [
        re.search(r"start: time\(v: (-?\d+)\), stop: time\(v: (-?\d+)\).*limit\(n: (\d+)\)", text, re.DOTALL)
        for text in player.asked
    ]
    return [(match[1], match[2], match[3]) for match in found if match is not None]


async def test_a_recorded_answer_becomes_the_events_that_it_was(reader: ReplicaHistory, player: Player) -> None:
    """Twins in order, empty states, quotes, line breaks, removals, calls: as the store would give them."""
    player.answers = [(200, recorded.FIVE_EVENTS)]

    page = await reader.query(EventQuery(limit=100))

    assert (page.events, page.next_cursor) == (FIVE_EVENTS, None)
    assert player.requests == [("/api/v2/query?org=home", "Token a-token")]


async def test_a_page_costs_one_script_and_the_next_goes_on_behind_it(reader: ReplicaHistory, player: Player) -> None:
    """The second page asks from the cursor's nanosecond on and leaves out what was given."""
    player.answers = [(200, recorded.FIVE_EVENTS), (200, recorded.LAST_FOUR), (200, recorded.LAST_TWO)]

    found = await pages(reader, EventQuery(limit=2, start_us=START_US))

    assert [[event.entity_id for event in page] for page in found] == [
        ["light.kitchen", "light.kitchen"],
        ["sensor.note", "switch.old"],
        [None],
    ]
    assert [(start, most) for start, _, most in _edges(player)] == [
        ("1790000000000000000", "5"),
        ("1790000000000000001", "5"),
        ("1790000000002000000", "5"),
    ]


async def test_rows_at_the_horizon_are_asked_for_again(reader: ReplicaHistory, player: Player) -> None:
    """As many rows came as were wanted: the last two may have neighbours, so the next script begins at them."""
    player.answers = [(200, recorded.NEIGHBOURS), (200, recorded.LAST_FOUR)]

    page = await reader.query(EventQuery(limit=2, start_us=START_US))

    assert [event.entity_id for event in page.events] == ["light.kitchen", "light.kitchen"]
    assert page.next_cursor is not None
    assert [(start, most) for start, _, most in _edges(player)] == [
        ("1790000000000000000", "5"),
        ("1790000000000000001", "4"),
    ]


async def test_newest_first_reads_backwards(reader: ReplicaHistory, player: Player) -> None:
    """The end of the range moves instead of its beginning."""
    player.answers = [(200, recorded.LAST_FIVE_BACKWARDS), (200, recorded.LAST_FIVE_BACKWARDS)]

    page = await reader.query(EventQuery(limit=10, newest_first=True, end_us=START_US + 4000))

    assert [event.name or event.entity_id for event in page.events] == [
        "light.turn_on", "switch.old", "sensor.note", "light.kitchen", "light.kitchen",
    ]  # fmt: skip
    assert [event.state for event in page.events[3:]] == [None, "on"]
    assert [stop for _, stop, _ in _edges(player)] == ["1790000000004000000"]
    assert "|> tail(n: 13)" in player.asked[0]
    assert 'sort(columns: ["_time"], desc: true)' in player.asked[0]


async def test_rows_of_others_are_left_out(reader: ReplicaHistory, player: Player) -> None:
    """A measurement or an origin that the layout does not write is no event; the search goes on behind it."""
    player.answers = [(200, recorded.FOREIGN), (200, recorded.NOTHING)]

    page = await reader.query(EventQuery(limit=1))

    assert (page.events, len(player.asked)) == ((), 2)


@pytest.mark.parametrize(
    ("answer", "reason", "words"),
    [
        ((200, recorded.FAILED_HALF_WAY), Reason.UNKNOWN, "memory allocation limit reached"),
        ((200, recorded.LOGIN_PAGE), Reason.INVALID_URL, "not InfluxDB's"),
        ((200, recorded.CUT_OFF), Reason.INVALID_URL, "not InfluxDB's"),
        ((200, recorded.NO_TIMES), Reason.INVALID_URL, "not InfluxDB's"),
        ((404, recorded.NO_BUCKET), Reason.BUCKET_NOT_FOUND, "could not find bucket"),
        ((404, recorded.LOGIN_PAGE), Reason.INVALID_URL, "404"),
        ((401, recorded.UNAUTHORIZED), Reason.INVALID_AUTH, "unauthorized access"),
        ((400, recorded.BAD_SCRIPT), Reason.UNKNOWN, "invalid statement"),
        ((503, recorded.UNAVAILABLE), Reason.CANNOT_CONNECT, "queue is full"),
        ((302, ""), Reason.INVALID_URL, "302"),
    ],
)
async def test_what_goes_wrong_has_a_reason(
    reader: ReplicaHistory, player: Player, answer: tuple[int, str], reason: Reason, words: str
) -> None:
    """Half an answer is never taken for a whole one."""
    player.answers = [answer]

    with pytest.raises(InfluxError, match=words) as caught:
        await reader.query(EventQuery(limit=100))

    assert caught.value.reason is reason
    assert "a-token" not in str(caught.value)


def test_the_script_asks_for_everything_of_one_home() -> None:
    """The whole text, so that a change of it is seen."""
    span = Span(first_ns=MIN_NS, last_ns=MAX_NS, newest_first=False, most=101)

    assert script("homeiq", EventQuery(), "flat 1", span) == (
        """\
found = from(bucket: "homeiq")
  |> range(start: time(v: -9223372036854775806), stop: time(v: 9223372036854775807))
  |> filter(fn: (r) => r.home == "flat 1")
  |> filter(fn: (r) => exists r.origin)
found
  |> limit(n: 101)
  |> pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value")
  |> group()
  |> sort(columns: ["_time"], desc: false)
  |> limit(n: 101)
  |> map(fn: (r) => ({r with ns: int(v: r._time)}))
  |> drop(columns: ["_start", "_stop", "_time"])
  |> yield(name: "events")
found
  |> filter(fn: (r) => r._field == "by" or r._field == "context" or r._field == "data" or r._field == "old" """
        """or r._field == "parent" or r._field == "state" or r._field == "user")
  |> filter(fn: (r) => r._value == "")
  |> limit(n: 101)
  |> group(columns: ["_field"])
  |> sort(columns: ["_time"], desc: false)
  |> limit(n: 101)
  |> map(fn: (r) => ({r with ns: int(v: r._time)}))
  |> drop(columns: ["_start", "_stop", "_time", "_value"])
  |> yield(name: "empty")
"""
    )


@pytest.mark.parametrize(
    ("query", "home", "conditions"),
    [
        (EventQuery(), "", ["not exists r.home", "exists r.origin"]),
        (
            EventQuery(entity_ids=("light.a", 'x"${y}'), origins=(Origin.USER, Origin.DEVICE)),
            "flat 1",
            [
                'r.home == "flat 1"',
                'r.origin == "user" or r.origin == "device"',
                'r.entity_id == "light.a" or r.entity_id == "x\\"\\x24{y}"',
            ],
        ),
        (
            EventQuery(kinds=(EventKind.CALL, EventKind.LOG)),
            "ends\\",
            [
                'r._measurement == "homeiq_call" or r._measurement == "homeiq_log"',
                'r.home == "ends\\\\ "',
                "exists r.origin",
            ],
        ),
        (
            EventQuery(kinds=(EventKind.STATE,)),
            "",
            [
                (
                    'r._measurement == "homeiq_state" or (r._measurement != "homeiq_attributes" and '
                    'r._measurement != "homeiq_call" and r._measurement != "homeiq_automation" and '
                    'r._measurement != "homeiq_script" and r._measurement != "homeiq_system" and '
                    'r._measurement != "homeiq_log")'
                ),
                "not exists r.home",
                "exists r.origin",
            ],
        ),
    ],
)
def test_each_choice_is_a_condition(query: EventQuery, home: str, conditions: Sequence[str]) -> None:
    """Kinds are measurements; homes without a tag are asked for as such."""
    lines = script("b", query, home, Span(first_ns=0, last_ns=1, newest_first=False, most=1)).splitlines()

    filters = [line.removeprefix("  |> filter(fn: (r) => ").removesuffix(")") for line in lines if "filter" in line]
    assert filters[: len(conditions)] == conditions


@given(st.text())
def test_no_value_gets_out_of_its_quotes(value: str) -> None:
    """A literal has no bare quote, line break or interpolation in it, and reads back as the value."""
    literal = text(value)

    body = literal[1:-1]
    assert (literal[0], literal[-1]) == ('"', '"')
    assert re.fullmatch(r'(?:[^"\\$\x00-\x1f\x7f]|\\["\\]|\\x[0-9a-f]{2})*', body)
    assert re.sub(r'\\x([0-9a-f]{2})|\\(["\\])', lambda m: chr(int(m[1], 16)) if m[1] else m[2], body) == value
