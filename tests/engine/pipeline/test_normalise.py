"""Whatever a raw event holds, it becomes a row that can be stored, and nothing private gets through."""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
import json
from types import MappingProxyType
from typing import Any

from hypothesis import example, given, strategies as st
import pytest

from homeiq_engine.model import EventKind, RawEvent, numeric_value
from homeiq_engine.pipeline import Enricher, FilterSettings, is_secret_name
from homeiq_engine.pipeline._normalise import (
    MAX_PAYLOAD_BYTES,
    PayloadEncoder,
    clean_id,
    clean_state,
    clean_time,
    encode,
    held_us,
    is_attribute_only,
)
from tests.engine.pipeline.parts import PassDecoder, raw

# All of Unicode, lone surrogates and NUL included.
ANY_TEXT = st.text(st.characters())
NUMBERS = st.one_of(st.integers(), st.floats(), st.booleans(), st.none())
KEYS = st.one_of(ANY_TEXT, st.integers(), st.booleans(), st.none(), st.floats())
VALUES = st.recursive(
    st.one_of(NUMBERS, ANY_TEXT, st.datetimes(), st.binary(max_size=8), st.sets(st.integers(), max_size=3)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=4)),
    max_leaves=12,
)
TIMES = st.integers(min_value=-(10**30), max_value=10**30)
RAW_EVENTS = st.builds(
    RawEvent,
    kind=st.sampled_from(EventKind),
    time_us=TIMES,
    entity_id=st.one_of(st.none(), ANY_TEXT),
    state=st.one_of(st.none(), ANY_TEXT, st.floats().map(str)),
    old_state=st.one_of(st.none(), ANY_TEXT),
    old_changed_us=st.one_of(st.none(), TIMES),
    attributes=st.one_of(st.none(), st.dictionaries(ANY_TEXT, VALUES, max_size=5)),
    unkept=st.frozensets(ANY_TEXT, max_size=2),
    context_id=st.one_of(st.none(), ANY_TEXT),
    parent_id=st.one_of(st.none(), ANY_TEXT),
    user_id=st.one_of(st.none(), ANY_TEXT),
    name=st.one_of(st.none(), ANY_TEXT),
    data=st.one_of(st.none(), st.dictionaries(ANY_TEXT, VALUES, max_size=5)),
)


def _payload(attributes: dict[str, object], **given: Any) -> object:
    text = PayloadEncoder(positions=bool(given.pop("positions", False))).attributes(raw(attributes=attributes, **given))
    return None if text is None else json.loads(text)


@given(RAW_EVENTS)
@example(raw(attributes={"device_class": "\ud800", "unit_of_measurement": "\ud800"}))
@example(raw(attributes={"a": {1}, "b": 2**70}))
@example(raw(attributes={"a": 10**5000}))
def test_every_raw_event_can_be_stored(event: RawEvent) -> None:
    """No content, however odd, costs the event: all text is UTF-8 and bounded, all numbers fit, times are dates."""
    settings = FilterSettings(attribute_events=True, positions=True)

    stored = Enricher(PassDecoder(), settings, started=True).event_of(event, {})

    assert stored is not None
    texts = [
        stored.entity_id,
        stored.state,
        stored.old_state,
        stored.context_id,
        stored.name,
        stored.user_id,
        stored.parent_id,
    ]
    assert all(len(text.encode()) <= 4 * 255 and len(text) <= 255 for text in texts if text is not None)
    assert 0 <= stored.time_us <= 253_402_214_400_000_000
    assert datetime.fromtimestamp(stored.time_us // 1_000_000, UTC).year <= 9999
    assert stored.held_us is None or 0 <= stored.held_us < 2**63
    assert stored.payload is None or len(stored.payload.encode()) <= MAX_PAYLOAD_BYTES
    json.dumps([stored.facts.device_class, stored.facts.unit]).encode()
    (stored.facts.unit or "").encode()


@given(ANY_TEXT)
def test_clean_text_is_left_alone(text: str) -> None:
    """Only what UTF-8 cannot express is replaced, and only the excess is cut."""
    cleaned = clean_state(text)

    assert cleaned is not None
    assert [
        new for new, old in zip(cleaned, text, strict=False) if new != old and not 0xD800 <= ord(old) <= 0xDFFF
    ] == []
    assert len(cleaned) == min(len(text), 255)


def test_missing_texts_stay_missing() -> None:
    """None is not the text "None"."""
    assert (clean_state(None), clean_id(None)) == (None, None)


@pytest.mark.parametrize("state", ["x" * 255, "💡" * 255, "unknown", "unavailable", "", "nan", "inf", "1e400", "\x00"])
def test_states_that_home_assistant_allows_are_kept_as_they_are(state: str) -> None:
    """Up to 255 characters of anything, also what looks like no number."""
    assert clean_state(state) == state


@given(TIMES)
def test_times_are_clamped_to_dates(time_us: int) -> None:
    """Times within 1970 and 9999 stay, others become the nearer end."""
    assert clean_time(time_us) == sorted((0, time_us, 253_402_214_400_000_000))[1]


@pytest.mark.parametrize(
    ("time_us", "old_changed_us", "held"),
    [(50, 20, 30), (50, 50, 0), (50, 51, None), (50, None, None), (50, -20, 50), (10**30, 0, 253_402_214_400_000_000)],
)
def test_time_in_the_previous_state(time_us: int, old_changed_us: int | None, held: int | None) -> None:
    """The difference, nothing where the clock went backwards or the beginning is unknown, never out of range."""
    assert held_us(raw(time_us=time_us, old_changed_us=old_changed_us)) == held


@pytest.mark.parametrize(
    ("fields", "only"),
    [
        ({"state": "on", "old_state": "on"}, True),
        ({"state": "on", "old_state": "off"}, False),
        ({"state": None, "old_state": None}, False),
        ({"state": "on", "old_state": None}, False),
        ({"state": "on", "old_state": "on", "kind": EventKind.CALL}, False),
    ],
)
def test_attribute_changes_are_told_from_state_changes(fields: dict[str, Any], only: bool) -> None:
    """An equal state before and after is a change of attributes; a call never is."""
    assert is_attribute_only(raw(**fields)) is only


@given(st.dictionaries(ANY_TEXT, VALUES, max_size=6))
def test_payloads_are_json_or_nothing(data: dict[str, object]) -> None:
    """Any data becomes JSON of at most 16 KiB or is left out."""
    text = encode(data)

    assert text is None or isinstance(json.loads(text), dict)


def test_not_a_number_becomes_null() -> None:
    """JSON has no NaN and no infinity."""
    assert encode({"a": float("nan"), "b": float("inf"), "c": 1.5}) == '{"a":null,"b":null,"c":1.5}'


def test_keys_are_sorted_so_that_equal_payloads_are_one() -> None:
    """The order in which an integration writes its attributes does not matter."""
    assert (
        encode({"b": 1, "a": {"d": 1, "c": 2}})
        == encode({"a": {"c": 2, "d": 1}, "b": 1})
        == '{"a":{"c":2,"d":1},"b":1}'
    )


class _Colour(Enum):
    RED = "red"


class _Broken:
    def __str__(self) -> str:
        raise ValueError("broken")


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (2**64, str(2**64)),
        (-(2**63) - 1, str(-(2**63) - 1)),
        (2**63, 2**63),
        ("\ud800x", "?x"),
        ([2**70, 1], f"[{2**70}, 1]"),
        ({"x": "\udfff"}, "{'x': '\\udfff'}"),
        ({3, 1, 2}, ["1", "2", "3"]),
        (frozenset({"\ud800"}), ["?"]),
        (MappingProxyType({"a": 1}), {"a": 1}),
        (b"\x00", "b'\\x00'"),
        (_Colour.RED, "red"),
        (_Broken(), "<_Broken>"),
        pytest.param(10**5000, "<int>", id="an integer beyond printing"),
        (object, "<class 'object'>"),
        ((1, 2), [1, 2]),
    ],
)
def test_values_that_json_cannot_hold_are_kept_as_text(value: object, kept: object) -> None:
    """One odd value never costs the others, nor the event."""
    text = encode({"odd": value, "plain": {1}, "also": "x"})

    assert text is not None
    assert json.loads(text) == {"odd": kept, "plain": ["1"], "also": "x"}


@pytest.mark.parametrize(("length", "kept"), [(MAX_PAYLOAD_BYTES - 8, True), (MAX_PAYLOAD_BYTES - 7, False)])
def test_payloads_up_to_sixteen_kibibytes_are_kept(length: int, kept: bool) -> None:
    """The limit counts bytes of JSON, to the byte."""
    text = encode({"a": "x" * length})

    assert (text is not None) is kept


def test_the_limit_counts_bytes_not_characters() -> None:
    """Text of many-byte characters is measured as it is stored."""
    assert encode({"a": "💡" * 5000}) is None


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "wifi_password",
        "Access_Token",
        "api_key",
        "APIKEY",
        "client_secret",
        "code",
        "PIN",
        "user_code",
        "credentials",
    ],
)
def test_secrets_are_known_by_name(name: str) -> None:
    """Upper case and prefixes do not hide a secret."""
    assert is_secret_name(name)
    assert _payload({name: "s3cret", "plain": {name: "s3cret", "list": [{name: "s3cret"}]}}) == {
        "plain": {"list": [{}]}
    }


@pytest.mark.parametrize("name", ["codec", "opinion", "keyboard", "country_code_name", "spinning", "brightness"])
def test_harmless_names_are_kept(name: str) -> None:
    """A word that only looks like a secret's is no secret."""
    assert not is_secret_name(name)
    assert _payload({name: 1}) == {name: 1}


POSITIONS = ["latitude", "longitude", "gps_accuracy", "Latitude", "GPS", "address", "location", "altitude"]


@pytest.mark.parametrize("name", POSITIONS)
def test_positions_are_kept_only_where_they_were_switched_on(name: str) -> None:
    """At every depth, in mappings, lists and values of other kinds."""
    attributes: dict[str, object] = {name: 52.1, "deep": [{"er": {name: 52.1, "ok": 1}}]}

    assert _payload(attributes) == {"deep": [{"er": {"ok": 1}}]}
    assert _payload(attributes, positions=True) == attributes


@dataclass
class _Place:
    latitude: float
    token: str
    name: str


def test_dataclasses_are_looked_into() -> None:
    """An attribute that is an object with fields does not carry positions or secrets past the filter."""
    assert _payload({"place": _Place(52.1, "s3cret", "home"), "kind": _Place}) == {
        "place": {"name": "home"},
        "kind": str(_Place),
    }


def test_what_is_nested_without_end_is_cut() -> None:
    """Attributes that hold themselves cost neither the event nor the others."""
    endless: dict[str, object] = {"a": 1}
    endless["self"] = [endless]

    text = PayloadEncoder(positions=False).attributes(raw(attributes={"loop": endless, "token": 1}))

    assert text is not None
    assert text.startswith('{"loop":{"a":1,"self":[{"a":1,"self":[')
    assert text.count("…") == 1


def test_what_says_nothing_about_what_happened_is_left_out() -> None:
    """Wording, pictures, feature bits, and what the entity itself asks to leave out."""
    assert _payload(
        {"icon": "x", "supported_features": 3, "attribution": "y", "friendly_name": "Lamp", "big": 1},
        unkept=frozenset({"big"}),
    ) == {"friendly_name": "Lamp"}
    assert _payload({"icon": "x"}) is None
    assert _payload({}) is None


class _Counted(dict[str, object]):
    """Count how often it is read."""

    read = 0

    def items(self) -> object:  # type: ignore[override]
        self.read += 1
        return super().items()


def test_unchanged_attributes_are_encoded_once() -> None:
    """The same object for the same entity is not read again; another object, entity or rule is."""
    encoder = PayloadEncoder(positions=False)
    attributes = _Counted(a=1)

    texts = [encoder.attributes(raw(entity_id="a.a", attributes=attributes)) for _ in range(3)]
    once = attributes.read
    encoder.attributes(raw(entity_id="a.b", attributes=attributes))
    hidden = encoder.attributes(raw(entity_id="a.a", attributes=attributes, unkept=frozenset("a")))

    assert (texts, once, attributes.read, hidden) == (['{"a":1}'] * 3, 1, 3, None)


def test_attributes_of_a_removed_entity_are_forgotten() -> None:
    """What is gone takes no memory."""
    encoder = PayloadEncoder(positions=False)
    encoder.attributes(raw(entity_id="a.a", attributes={"a": 1}))
    encoder.attributes(raw(entity_id="a.a", state=None, attributes=None))

    assert encoder._last == {}


def test_events_without_an_entity_have_no_attributes() -> None:
    """A call's data is its own, see encode."""
    assert PayloadEncoder(positions=False).attributes(raw(entity_id=None, attributes={"a": 1})) is None


@pytest.mark.parametrize(
    ("state", "value"),
    [
        ("21.5", 21.5),
        ("on", 1.0),
        ("off", 0.0),
        ("nan", None),
        ("inf", None),
        ("1e999", None),
        ("1_0", None),
        ("", None),
        (None, None),
    ],
)
def test_numeric_values(state: str | None, value: float | None) -> None:
    """Numbers and two-valued states have a value, everything else none."""
    assert numeric_value(state) == value
