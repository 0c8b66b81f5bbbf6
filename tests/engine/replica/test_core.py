"""Layout core: a line says what the influxdb integration would say, and nothing where that says nothing."""

from typing import Any

import orjson
import pytest

from homeiq_engine.model import EntityFacts, Event, EventKind, Origin
from homeiq_engine.replica import Layout

from .samples import START_US as TIME_US, encoder


def _our_line(entity_id: str, state: str | None, payload: str | None, *, home: str = "", **more: Any) -> str:
    given = {"kind": EventKind.STATE, "time_us": TIME_US, "origin": Origin.USER, "id": 1} | more
    event = Event(**given, entity_id=entity_id, state=state, payload=payload)
    line: str = encoder(home, layout=Layout.CORE).encode([event]).body.decode()
    return line


def test_known_states_look_as_boards_expect_them() -> None:
    """A sensor with a unit, a switch without, and the version of a device as text and number."""
    sensor = {"unit_of_measurement": "°C", "device_class": "temperature", "friendly_name": "Kitchen"}
    lines = [
        _our_line("sensor.kitchen", "21.50", orjson.dumps(sensor).decode()),
        _our_line("light.hall", "on", '{"brightness":128,"color_mode":"xy","xy_color":[0.1,0.2]}'),
        _our_line("update.hub", "off", '{"installed_version":"v12"}', home="flat 1"),
    ]

    assert lines == [
        (
            '°C,domain=sensor,entity_id=kitchen device_class_str="temperature",friendly_name_str="Kitchen",value=21.5'
            f" {TIME_US * 1000}"
        ),
        (
            'light.hall,domain=light,entity_id=hall brightness=128,color_mode_str="xy",state="on",value=1,'
            f'xy_color_str="[0.1, 0.2]" {TIME_US * 1000}'
        ),
        (
            'update.hub,domain=update,entity_id=hub,home=flat\\ 1 installed_version=12,installed_version_str="v12",'
            f'state="off",value=0 {TIME_US * 1000}'
        ),
    ]


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        ("unknown", EventKind.STATE),
        ("unavailable", EventKind.STATE),
        ("", EventKind.STATE),
        (None, EventKind.STATE),
        (None, EventKind.CALL),
        ("on", EventKind.AUTOMATION),
        ("nan", EventKind.STATE),
    ],
)
def test_what_the_integration_leaves_out_has_no_line(state: str | None, kind: EventKind) -> None:
    """Removals, calls, runs, unusable states, and a state without a field that could be written."""
    assert _our_line("sensor.a", state, None, kind=kind) == ""


def test_attributes_that_were_too_large_to_keep_still_leave_the_unit() -> None:
    """The measurement does not change for want of a payload."""
    line = _our_line("sensor.a", "1", None, facts=EntityFacts(unit="W"))

    assert line == f"W,domain=sensor,entity_id=a value=1 {TIME_US * 1000}"


@pytest.mark.parametrize("payload", ["[1]", "not JSON", "{", "{}"])
def test_a_payload_that_holds_no_attributes_is_none(payload: str) -> None:
    """The state is written without attributes."""
    assert _our_line("sensor.a", "1", payload) == f"sensor.a,domain=sensor,entity_id=a value=1 {TIME_US * 1000}"


def test_a_change_of_attributes_alone_is_a_point() -> None:
    """The integration writes it as it does any state change."""
    assert "brightness=5" in _our_line("light.a", "on", '{"brightness":5}', kind=EventKind.ATTRIBUTES)


@pytest.mark.parametrize(
    ("attributes", "line"),
    [
        (
            {"brightness": 128, "rgb": [1, 2], "name": "Hall"},
            'light.a|brightness=128,name_str="Hall",rgb_str="[1, 2]",state="on",value=1',
        ),
        ({"charge": "87 %", "a": "1.2.3"}, 'light.a|a_str="1.2.3",charge=87,charge_str="87 %",state="on",value=1'),
        ({"active": True, "nothing": None}, 'light.a|active=1,nothing_str="None",state="on",value=1'),
        ({"high": "inf", "low": "nan", "": 1}, 'light.a|state="on",value=1'),
        ({"value": 3, "state": "x", "z": 4}, 'light.a|state="on",state__str="x",value=1,value_=3,z=4'),
        ({"time": 1, "time_": 2}, 'light.a|state="on",time_=2,time__=1,value=1'),
        ({"b": "x\ny"}, 'light.a|b_str="x y",state="on",value=1'),
        ({"unit_of_measurement": "", "a": 10**18}, 'light.a|a=1e+18,state="on",unit_of_measurement_str="",value=1'),
        ({"unit_of_measurement": ["odd"]}, "['odd']|state=\"on\",value=1"),
        ({"unit_of_measurement": "#"}, '\\#|state="on",value=1'),
        ({"unit_of_measurement": "a\\"}, 'a\\\\ |state="on",value=1'),
    ],
    ids=[
        "plain", "digits", "two-valued", "infinite", "taken", "time", "lines", "no unit", "odd", "comment", "backslash",
    ],
)  # fmt: skip
def test_attributes_become_fields_of_one_type(attributes: dict[str, Any], line: str) -> None:
    """Floats where they are, texts under a name of their own, taken names with an underscore."""
    measurement, _, fields = line.partition("|")

    said = _our_line("light.a", "on", orjson.dumps(attributes).decode())

    assert said == f"{measurement},domain=light,entity_id=a {fields} {TIME_US * 1000}"


def test_caches_of_series_and_payloads_do_not_grow_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attributes that are new each time cost a bounded amount of memory."""
    monkeypatch.setattr("homeiq_engine.replica._core._CACHE", 10)
    monkeypatch.setattr("homeiq_engine.replica._core._PAYLOADS", 10)
    long = encoder(layout=Layout.CORE)
    events = [
        Event(
            kind=EventKind.STATE, time_us=TIME_US, origin=Origin.USER, id=row, entity_id=f"light.a{row}", state="on",
            payload=f'{{"n":{row}}}',
        )
        for row in range(1, 96)
    ]  # fmt: skip

    batch = long.encode(events)

    layout = long._layout
    assert len(batch.lines) == 95
    assert max(len(layout._prefixes), len(layout._attributes), len(layout._parts)) <= 10
