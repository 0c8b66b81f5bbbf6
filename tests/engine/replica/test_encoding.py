"""Lines say what the events say, in the form that influxdb-client writes and a real influxd reads back."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
import json
import math

from hypothesis import HealthCheck, given, settings as hypothesis_settings, strategies as st
from influxdb_client import Point
import pytest

from homeiq_engine.model import NO_FACTS, EntityFacts, Event, EventKind, Origin
from homeiq_engine.replica import InfluxSettings, Layout, LineEncoder
from homeiq_engine.replica._delivery import Delivery
from tests.servers.face_process import FaceProcess, Row

from .samples import KITCHEN, START_US, encoder, state_event, twins

_ANYTHING = st.characters(exclude_categories=["Cs"])
_TAG = st.text(_ANYTHING, max_size=40).filter(lambda text: not text.endswith("\\"))
_MAYBE_TAG = st.none() | _TAG
_TEXT = st.text(_ANYTHING, max_size=255) | st.sampled_from(["", '"', "\\", "a\nb", "👩‍👩‍👧", "é" * 255, "unavailable"])
_STATE = (
    _TEXT
    | st.floats().map(str)
    | st.integers(-(10**30), 10**30).map(str)
    | st.sampled_from(["on", "off", "nan", "inf", "1e400", "-0.0", "5e-324", "1_000", "9223372036854775808"])
)
_FACTS = st.builds(
    EntityFacts, registry_id=_MAYBE_TAG, area_id=_MAYBE_TAG, integration=_MAYBE_TAG, device_class=_MAYBE_TAG
)
_ENTITY = st.from_regex(r"[a-z][a-z0-9_]{0,20}\.[a-z0-9_]{1,40}", fullmatch=True)
_EVENTS = st.builds(
    Event,
    kind=st.sampled_from(EventKind),
    time_us=st.integers(-(2**53), 2**53),
    origin=st.sampled_from(Origin),
    entity_id=st.none() | _ENTITY,
    state=st.none() | _STATE,
    old_state=st.none() | _STATE,
    held_us=st.none() | st.integers(0, 10**15),
    payload=st.none() | _TEXT,
    context_id=st.none() | _TEXT,
    parent_id=st.none() | _TEXT,
    user_id=st.none() | _TEXT,
    responsible=st.none() | _TEXT,
    name=_MAYBE_TAG,
    facts=_FACTS,
    id=st.just(1),
)  # fmt: skip


def _encode(*events: Event, home: str = "") -> Sequence[str]:
    return encoder(home).encode(events).body.decode().split("\n")


def _tags(event: Event, home: str) -> dict[str, str | None]:
    return {
        "area": event.facts.area_id, "device_class": event.facts.device_class, "entity_id": event.entity_id,
        "home": home, "integration": event.facts.integration, "name": event.name, "origin": event.origin.value,
        "registry_id": event.facts.registry_id,
    }  # fmt: skip


def _measurement(event: Event) -> str:
    """Return what the layout's table says."""
    plain = event.kind is EventKind.STATE and event.entity_id is not None
    return event.entity_id.split(".")[0] if plain else f"homeiq_{event.kind}"


def _fields(event: Event) -> dict[str, str | float | bool | None]:
    """Return what the layout's table says, by another way than the encoder's."""
    has_state = event.kind in {EventKind.STATE, EventKind.ATTRIBUTES}
    fields = {
        "by": event.responsible, "context": event.context_id, "data": event.payload,
        "held": None if event.held_us is None else event.held_us / 1e6, "old": event.old_state,
        "parent": event.parent_id, "removed": (event.kind is EventKind.STATE and event.state is None) or None,
        "state": event.state, "user": event.user_id, "value": event.value if has_state else 1.0,
    }  # fmt: skip
    present = {key: value for key, value in fields.items() if value is not None}
    return present or {"state": ""}


@given(event=_EVENTS, home=_TAG)
def test_a_line_is_what_influxdb_clients_point_writes(event: Event, home: str) -> None:
    """For any event, the encoder's bytes equal those of Point for the table's tags and fields."""
    point = Point(_measurement(event)).time(event.time_us * 1000)
    point._tags, point._fields = _tags(event, home), _fields(event)

    batch = encoder(home).encode([event])

    assert (batch.body, batch.last_id) == (point.to_line_protocol().encode(), 1)


@pytest.mark.server
@hypothesis_settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(events=st.lists(_EVENTS, min_size=1, max_size=20))
def test_influxd_reads_back_what_was_encoded(
    events: list[Event], settings: InfluxSettings, influx: FaceProcess
) -> None:
    """Any events, written to a real server, come back over InfluxQL with every field and tag as it was."""
    influx.influxql(f'DROP DATABASE "{settings.bucket}"')
    influx.create_bucket(settings.bucket)
    events = [replace(event, time_us=START_US + index) for index, event in enumerate(events)]
    delivery = Delivery(settings)
    delivery.write(encoder(settings.home).encode(events).body)
    delivery.close()

    points = sorted(influx.points(settings.bucket), key=lambda row: int(row["time"] or 0))

    assert [_present(point) for point in points] == [_as_read(event, settings.home) for event in events]


_ATTRIBUTES = st.dictionaries(
    st.from_regex(r"[a-z_]{1,12}", fullmatch=True)
    | st.sampled_from(["unit_of_measurement", "time", "value", "a b,c=d"]),
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False)
    | _TEXT
    | st.lists(_TEXT, max_size=2),
    max_size=5,
).map(json.dumps)


@pytest.mark.server
@hypothesis_settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(event=_EVENTS, payload=st.none() | _ATTRIBUTES)
def test_influxd_takes_any_line_of_layout_core(
    event: Event, payload: str | None, settings: InfluxSettings, influx: FaceProcess
) -> None:
    """Whatever an entity and its attributes say, the line is one, under its measurement, with its time."""
    influx.influxql(f'DROP DATABASE "{settings.bucket}"')
    influx.create_bucket(settings.bucket)
    events = [replace(event, time_us=START_US, kind=EventKind.STATE, payload=payload), state_event(7, state="7")]
    batch = encoder(layout=Layout.CORE).encode([replace(one, id=row) for row, one in enumerate(events, 1)])
    delivery = Delivery(settings)
    delivery.write(batch.body)
    delivery.close()

    times = {int(point["time"] or 0) for point in influx.points(settings.bucket)}

    assert times == {line.time_us * 1000 for line in batch.lines}


@pytest.mark.server
@pytest.mark.parametrize("letter", ["x", "é", '"', "\\", "\n", "😀"])
def test_influxd_keeps_texts_of_64_kb(settings: InfluxSettings, influx: FaceProcess, letter: str) -> None:
    """As long as InfluxDB allows, escaped or not, and one line is still one point."""
    text = letter * (65_535 // len(letter.encode()))
    delivery = Delivery(settings)
    delivery.write(encoder().encode([replace(state_event(), payload=text)]).body)
    delivery.close()

    (point,) = influx.points(settings.bucket)

    assert point["data"] == text


@given(times=st.lists(st.integers(0, 3), min_size=1, max_size=60), kept=st.sets(st.integers(0, 60)))
def test_what_is_left_out_does_not_change_the_others(times: list[int], kept: set[int]) -> None:
    """A filter takes lines away and leaves every other as it was, nanoseconds of twins included."""
    events = [replace(state_event(), time_us=START_US + moment, id=row) for row, moment in enumerate(times)]
    settings = InfluxSettings(url="http://127.0.0.1", org="o", bucket="b", token="t")

    some = LineEncoder(settings, lambda event: event.id in kept).encode(events)

    assert some.lines == [line for line in encoder().encode(events).lines if line.event_id in kept]
    assert some.last_id == len(times) - 1


@pytest.mark.parametrize("layout", list(Layout))
def test_metrics_are_numbers_in_milliseconds(layout: Layout) -> None:
    """The value and nothing else, in either layout; what has none has no line."""
    events = [state_event(1, state="21.5"), state_event(2, state="on"), state_event(3, state="idle text")]
    events.append(state_event(4, state="unavailable"))

    batch = encoder(layout=layout, metrics_only=True).encode(events)

    ends = [line.text.decode().partition(" ")[2] for line in batch.lines]
    assert ends == [f"value=21.5 {START_US // 1000 + 1}", f"value=1 {START_US // 1000 + 2}"]
    assert batch.last_id == 5


def _present(row: Row) -> Row:
    """Leave out the columns that InfluxQL adds because other points have them; its JSON writes 1e19 as an integer."""
    numbers = {key: float(row[key] or 0) for key in ("held", "value") if row.get(key) is not None}
    return {**{key: value for key, value in row.items() if value is not None}, **numbers}


def _as_read(event: Event, home: str) -> Row:
    """Return the row that InfluxQL should answer; line breaks and tabs in tags stay escaped."""
    plain = str.maketrans({"\n": r"\n", "\t": r"\t", "\r": r"\r"})
    tags = {key: text.translate(plain) for key, text in _tags(event, home).items() if text}
    return {"measurement": _measurement(event), "time": event.time_us * 1000, **tags, **_fields(event)}


@given(
    times=st.lists(st.integers(0, 3), min_size=1, max_size=60),
    cuts=st.lists(st.integers(1, 20), max_size=10),
)
def test_where_batches_end_and_encoders_start_makes_no_difference(times: list[int], cuts: list[int]) -> None:
    """Rows full of twins get the same lines from one encoder in one go as from a newly primed one per batch."""
    events = [replace(state_event(), time_us=START_US + moment, id=row) for row, moment in enumerate(times)]
    bounds = [0, *[sum(cuts[: index + 1]) for index in range(len(cuts))], len(events)]
    batches = [(events[:low], events[low:high]) for low, high in pairwise(bounds)]

    lines = [line for before, batch in batches if batch for line in _primed(before).encode(batch).body.split(b"\n")]

    assert lines == encoder().encode(events).body.split(b"\n")
    assert len(set(lines)) == len(events)


def _primed(before: Sequence[Event]) -> LineEncoder:
    primed = encoder()
    primed.prime(before)
    return primed


def test_twins_stay_two_and_keep_their_microsecond() -> None:
    """Even a thousand events of one entity in one microsecond have different times, all within that microsecond."""
    times = [int(line.rpartition(" ")[2]) for line in _encode(*twins(1000))]

    assert times == [START_US * 1000 + offset for offset in range(1000)]


def test_an_event_that_is_no_twin_has_its_exact_microsecond() -> None:
    """Other entities, origins and moments do not count as twins."""
    first = state_event()
    others = [first, replace(first, entity_id="sensor.other"), replace(first, origin=Origin.USER), state_event(1)]

    times = [int(line.rpartition(" ")[2]) for line in _encode(*others)]

    assert times == [START_US * 1000] * 3 + [(START_US + 1000) * 1000]


def test_twins_far_apart_in_the_store_are_forgotten_in_time() -> None:
    """The memory for twins holds a thousand rows and not more."""
    long = encoder()

    long.encode([state_event(number) for number in range(5000)])

    assert len(long._twins) == len(long._recent) == 1000


@pytest.mark.parametrize("state", ["nan", "inf", "-inf", "1e400", "1_000", "unknown", "unavailable", "", "0x10"])
def test_what_is_no_number_has_a_state_and_no_value(state: str) -> None:
    """A value that InfluxDB could not take as a float is not made up; the text is kept."""
    (line,) = _encode(state_event(state=state))

    assert f'state="{state}"' in line
    assert "value=" not in line


@pytest.mark.parametrize(("state", "value"), [("on", "1"), ("off", "0"), ("21.50", "21.5"), ("1e30", "1e+30")])
def test_numbers_and_two_valued_states_have_a_float_value(state: str, value: str) -> None:
    """Charts can draw switches, and a field never changes its type."""
    (line,) = _encode(state_event(state=state))

    assert f",value={value} " in line


def test_removal_of_an_entity_is_a_point_of_its_own() -> None:
    """A removed entity has no state, and says that it was removed."""
    (line,) = _encode(replace(state_event(), state=None, old_state="on", held_us=None, context_id=None))

    assert line.split(" ")[-2] == 'old="on",removed=true'


@pytest.mark.parametrize(
    "kind", [EventKind.CALL, EventKind.AUTOMATION, EventKind.SCRIPT, EventKind.SYSTEM, EventKind.LOG]
)
def test_other_kinds_have_a_measurement_each_and_can_be_counted(kind: EventKind) -> None:
    """A call, a run, a system event or a log record is a point with value 1 in its kind's measurement."""
    event = Event(kind=kind, time_us=START_US, origin=Origin.USER, name="light.turn_on", id=7)

    assert _encode(event) == [f"homeiq_{kind},name=light.turn_on,origin=user value=1 {START_US * 1000}"]


def test_an_attribute_event_that_says_nothing_is_still_a_point() -> None:
    """Line protocol needs a field; an empty state is the harmless one."""
    event = Event(kind=EventKind.ATTRIBUTES, time_us=START_US, origin=Origin.DEVICE, entity_id="light.a", id=1)

    assert _encode(event) == [f'homeiq_attributes,entity_id=light.a,origin=device state="" {START_US * 1000}']


@pytest.mark.parametrize("entity_id", ["#comment.a", "_internal.a", "Ünï.a", "no dot", ".a", ""])
def test_an_odd_entity_id_never_becomes_a_comment_or_a_reserved_name(entity_id: str) -> None:
    """Only an ordinary domain is used as the measurement."""
    (line,) = _encode(state_event(entity_id=entity_id))

    assert line.startswith("homeiq_state,")


@pytest.mark.parametrize(
    ("time_us", "expected"),
    [(2**63, 9_223_372_036_854_774_000), (-(2**63), -9_223_372_036_854_775_000)],
    ids=["too late", "too early"],
)
def test_a_time_that_influxdb_cannot_date_is_kept_at_the_nearest(time_us: int, expected: int) -> None:
    """A broken clock must not block the replica."""
    (line,) = _encode(replace(state_event(), time_us=time_us))

    assert line.endswith(f" {expected}")


@pytest.mark.parametrize(("letter", "kept"), [("x", 65_532), ("é", 32_766), ("😀", 16_383)])
def test_a_text_above_64_kb_is_cut_at_a_whole_character(letter: str, kept: int) -> None:
    """InfluxDB's limit for strings is in bytes; a cut text ends with an ellipsis."""
    (line,) = _encode(replace(state_event(), payload=letter * 70_000))

    assert f'data="{letter * kept}…",' in line


def test_a_text_of_just_64_kb_is_whole() -> None:
    """The limit itself is allowed."""
    (line,) = _encode(replace(state_event(), payload="x" * 65_535))

    assert f'data="{"x" * 65_535}",' in line


def test_a_body_ends_when_it_is_full() -> None:
    """Big payloads make smaller batches, and the encoder says how far it came."""
    events = [replace(state_event(number), payload="x" * 1000) for number in range(10)]

    encoded = encoder().encode(events, max_body=3000)

    assert (len(encoded.lines), encoded.last_id, encoded.body.count(b"\n")) == (3, 3, 2)


def test_an_event_above_the_limit_goes_alone() -> None:
    """There is always progress."""
    encoded = encoder().encode([state_event(0), state_event(1)], max_body=1)

    assert (len(encoded.lines), encoded.last_id) == (1, 1)


def test_nothing_cannot_be_encoded() -> None:
    """A request without lines would be a mistake of the caller."""
    with pytest.raises(ValueError, match="at least one"):
        encoder().encode([])


def test_a_changed_area_changes_the_tags() -> None:
    """The cached prefix of an entity follows its facts, equal or changed."""
    first = state_event()
    equal = replace(first, facts=replace(KITCHEN))
    moved = replace(first, facts=replace(KITCHEN, area_id="hall"))

    areas = [line.partition(",area=")[2].partition(",")[0] for line in _encode(first, equal, moved, first)]

    assert areas == ["kitchen", "kitchen", "hall", "kitchen"]


def test_the_prefix_cache_does_not_grow_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """A home with ever new entities costs a bounded amount of memory."""
    monkeypatch.setattr("homeiq_engine.replica._lean._CACHE", 10)
    long = encoder()

    long.encode([state_event(number, entity_id=f"sensor.s{number}") for number in range(95)])

    assert 1 <= len(long._layout._prefixes) <= 10


def test_a_lone_surrogate_does_not_stop_the_replica() -> None:
    """Text that UTF-8 cannot say is replaced character by character."""
    (line,) = _encode(state_event(state="a\ud800b"))

    assert 'state="a?b"' in line


@pytest.mark.server
def test_a_tag_may_end_with_a_backslash(settings: InfluxSettings, influx: FaceProcess) -> None:
    """The server keeps the backslash, with a blank after it, and the next tag stays whole."""
    event = replace(state_event(), facts=replace(NO_FACTS, area_id="c:\\", device_class="x\\,y"))
    delivery = Delivery(settings)
    delivery.write(encoder().encode([event]).body)
    delivery.close()

    (point,) = influx.points(settings.bucket)

    assert (point["area"], point["device_class"], point["origin"]) == ("c:\\ ", "x\\,y", "device")


@pytest.mark.parametrize("value", [0.1, 1.0, -0.0, 1e308, 5e-324, 123456789.123456, 1e16, 1e-7])
def test_a_number_reads_back_as_the_same_float(value: float) -> None:
    """The shortest text is exact."""
    (line,) = _encode(state_event(state=repr(value)))

    read = float(line.partition("value=")[2].partition(" ")[0])

    assert (read, math.copysign(1, read)) == (value, math.copysign(1, value))


def test_an_event_that_was_not_stored_cannot_be_encoded() -> None:
    """Without a row id nobody could say how far the replica has come."""
    with pytest.raises(ValueError, match="only stored events"):
        encoder().encode([replace(state_event(), id=None)])
