"""Layout core writes byte for byte what Home Assistant's influxdb integration writes with its defaults."""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
import importlib
import sys
from types import ModuleType
from typing import Any
import warnings

from custom_components.homeiq.engine.model import Event, EventKind, Origin
from custom_components.homeiq.engine.replica import InfluxSettings, Layout, LineEncoder
from homeassistant.core import Event as HassEvent, EventStateChangedData, State
from hypothesis import assume, given, settings, strategies as st
from influxdb_client import Point
import orjson
import pytest

TIME_US = 1_790_000_000_123_456

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30).filter(lambda text: not text.endswith("\\"))
_NAMES = st.one_of(
    st.from_regex(r"[a-z_]{1,12}", fullmatch=True),
    st.sampled_from([
        "unit_of_measurement", "device_class", "friendly_name", "state", "value", "time", "time_", "state_", "battery",
        "state_str", "value_str", "statex", "valuex", "a b", "a,b=c", "ünï",
    ]),
)  # fmt: skip
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | _TEXT
    | st.sampled_from([
        "", "12", "12.5 %", "3 of 4", "1.2.3", "nan", "inf", "-inf", "1e400", "a\nb", "1_0", "v12", "99", '"', "x" * 999,
    ]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
_STATES = st.one_of(
    _TEXT,
    st.floats().map(str),
    st.integers(-(10**30), 10**30).map(str),
    st.sampled_from([
        "on", "off", "home", "not_home", "open", "closed", "locked", "unlocked", "above_horizon", "below_horizon",
        "unknown", "unavailable", "", "nan", "inf", "1_000", "9223372036854775808", "two\nlines", "x" * 255, "cool",
    ]),
)  # fmt: skip
_ENTITIES = st.from_regex(r"[a-z][a-z0-9]{0,10}\.[a-z0-9][a-z0-9_]{0,15}", fullmatch=True).filter(
    lambda text: "__" not in text and not text.endswith("_")
)


@pytest.fixture(scope="module")
def to_json() -> Iterator[Callable[[HassEvent[EventStateChangedData]], dict[str, Any] | None]]:
    """Return Home Assistant's own converter; the client for version 1, which it only imports, is an empty module."""
    names = ("influxdb", "influxdb.exceptions")
    with pytest.MonkeyPatch.context() as patch:
        for name in names:
            patch.setitem(sys.modules, name, ModuleType(name))
        sys.modules["influxdb"].InfluxDBClient = object
        sys.modules["influxdb"].exceptions = sys.modules["influxdb.exceptions"]
        core = importlib.import_module("homeassistant.components.influxdb")
        schema = core.CONFIG_SCHEMA({"influxdb": {}})["influxdb"]
        yield core._generate_event_to_json({"include": {}, "exclude": {}, **schema})
        for name in [name for name in sys.modules if name.startswith("homeassistant.components.influxdb")]:
            del sys.modules[name]


def _core_line(
    to_json: Callable[[HassEvent[EventStateChangedData]], dict[str, Any] | None],
    entity_id: str,
    state: str,
    attributes: Mapping[str, Any],
) -> str:
    """Return the line that the integration's client writes, empty for none."""
    time = datetime.fromtimestamp(TIME_US // 1_000_000, UTC).replace(microsecond=TIME_US % 1_000_000)
    new = State(entity_id, state, attributes, validate_entity_id=False)
    data: EventStateChangedData = {"entity_id": entity_id, "old_state": None, "new_state": new}
    fired = HassEvent("state_changed", data, time_fired_timestamp=time.timestamp())
    given = to_json(fired)
    if given is None:
        return ""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        return Point.from_dict({**given, "time": TIME_US * 1000}).to_line_protocol()


def _our_line(entity_id: str, state: str, payload: str) -> str:
    encoder = LineEncoder(
        InfluxSettings(url="http://127.0.0.1", org="o", bucket="b", token="s3cret", layout=Layout.CORE)
    )
    event = Event(
        kind=EventKind.STATE,
        time_us=TIME_US,
        origin=Origin.USER,
        id=1,
        entity_id=entity_id,
        state=state,
        payload=payload,
    )
    return encoder.encode([event]).body.decode()


@settings(max_examples=500, deadline=None)
@given(entity_id=_ENTITIES, state=_STATES, attributes=st.dictionaries(_NAMES, _VALUES, max_size=6))
def test_a_line_is_what_the_influxdb_integration_writes(
    to_json: Any, entity_id: str, state: str, attributes: dict[str, Any]
) -> None:
    """For any state and attributes: measurement, tags, fields and their types, escaping and time."""
    # A measurement is cut to 1,024 characters, far above any unit.
    assume(len(str(attributes.get("unit_of_measurement"))) < 1000)
    payload = orjson.dumps(attributes, option=orjson.OPT_SORT_KEYS)
    kept = orjson.loads(payload)
    expected = _core_line(to_json, entity_id, state, kept)
    # A line that begins with # is a comment to the server, which says that it has stored it.
    expected = f"\\{expected}" if expected.startswith("#") else expected

    assert _our_line(entity_id, state, payload.decode()) == expected
