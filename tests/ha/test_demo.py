"""The demo judges fairly: it reads suggestions, logs and its command line as they are."""

import json
from pathlib import Path
import subprocess
import sys

import pytest

from _demo import habits
from _demo.options import Influx, parse
from _demo.process import is_complaint
from tests.engine.synth import demo_home

HOME = demo_home()
PROGRAM = Path(__file__).resolve().parents[2] / "script" / "_demo" / "main.py"


def _suggestion(
    *,
    entity_id: str = "light.kitchen",
    action: str = "light.turn_on",
    at: str = "06:44:00",
    weekday: list[str] | None = None,
    level: str = "pass",
) -> dict[str, object]:
    days = ["mon", "tue", "wed", "thu", "fri"] if weekday is None else weekday
    return {
        "verdict": {"level": level},
        "automation": {
            "triggers": [{"trigger": "time", "at": at}],
            "conditions": [{"condition": "time", "weekday": days}],
            "actions": [{"action": action, "target": {"entity_id": entity_id}}],
        },
    }


def test_a_suggestion_of_the_same_entity_state_days_and_time_hits_a_planted_habit() -> None:
    hits = habits.compare(HOME, [_suggestion()])
    assert hits.found == ("weekday_kitchen_light",)
    assert set(hits.missed) == {promise.key for promise in HOME.planted} - {"weekday_kitchen_light"}
    assert hits.from_automations == ()


@pytest.mark.parametrize(
    "suggestion",
    [
        _suggestion(entity_id="light.bathroom"),
        _suggestion(action="light.turn_off"),
        _suggestion(at="07:00:00"),
        _suggestion(weekday=["sat", "sun"]),
        _suggestion(level="blocked"),
    ],
    ids=["entity", "state", "time", "days", "blocked"],
)
def test_a_suggestion_that_differs_or_is_blocked_hits_nothing(suggestion: dict[str, object]) -> None:
    assert habits.compare(HOME, [suggestion]).found == ()


def test_times_on_both_sides_of_midnight_are_near_each_other() -> None:
    late = _suggestion(
        entity_id="light.bedroom", action="light.turn_off", at="23:56:00", weekday=list(habits.WEEKDAY_NAMES)
    )
    assert habits.compare(HOME, [late]).found == ("midnight_bedroom_light",)


@pytest.mark.parametrize("level", ["pass", "blocked"])
@pytest.mark.parametrize("entity_id", ["light.porch", "light.hall"])
def test_a_suggestion_for_what_automations_drive_is_told_whatever_its_verdict(entity_id: str, level: str) -> None:
    assert habits.compare(HOME, [_suggestion(entity_id=entity_id, level=level)]).from_automations == (entity_id,)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("WARNING (MainThread) [custom_components.homeiq.adapters.bus] Slow", True),
        ("ERROR (MainThread) [homeassistant.config_entries] Error setting up entry HomeIQ for homeiq", True),
        ("WARNING (MainThread) [homeassistant.util.loop] Detected blocking call to open with args", True),
        ("INFO (MainThread) [custom_components.homeiq] Back-fill is done", False),
        ("WARNING (SyncWorker_0) [homeassistant.loader] We found a custom integration homeiq which", False),
        ("ERROR (MainThread) [homeassistant.setup] Setup failed for 'ffmpeg'", False),
    ],
)
def test_only_what_speaks_against_homeiq_is_a_complaint(line: str, complaint: bool) -> None:
    assert is_complaint(f"2026-11-24 08:11:10.511 {line}") is complaint


def test_a_replica_needs_all_four_options() -> None:
    words = ["--influx", "http://127.0.0.1:8086", "--influx-token", "t", "--influx-org", "o", "--influx-bucket", "b"]
    assert parse(words).influx == Influx(url="http://127.0.0.1:8086", token="t", org="o", bucket="b")


@pytest.mark.parametrize(
    "words",
    [
        ["--nonsense"],
        ["--port", "0"],
        ["--port", "x"],
        ["--influx", "http://127.0.0.1:8086"],
        ["--influx", "ftp://a", "--influx-token", "t", "--influx-org", "o", "--influx-bucket", "b"],
        ["--dir", str(PROGRAM.parent)],
    ],
)
def test_wrong_usage_exits_with_two(words: list[str]) -> None:
    done = subprocess.run([sys.executable, str(PROGRAM), *words], capture_output=True, timeout=30, check=False)
    assert done.returncode == 2
    assert done.stdout == b""
    assert b"usage: script/demo" in done.stderr


@pytest.mark.slow
@pytest.mark.server
@pytest.mark.timeout(420)
def test_the_demo_does_the_main_job_and_ends_well(tmp_path: Path) -> None:
    """On a real Home Assistant what was sent is stored, nothing is lost, and the planted habits are proposed."""
    command = [sys.executable, str(PROGRAM), "--once", "--json", "--dir", str(tmp_path / "home")]
    done = subprocess.run(command, capture_output=True, timeout=400, check=False)
    assert done.returncode == 0, done.stderr.decode()
    answer = json.loads(done.stdout.splitlines()[-1])
    assert answer["ok"]
    assert answer["reasons"] == []
    assert answer["sent"] == answer["stored"] > 5000
    assert answer["lost"] == 0
    assert answer["past_stored"] == answer["laid_down"]["states"] + answer["laid_down"]["acts"]
    assert answer["planted"]["missed"] == []
    assert answer["kept"]["known"] == answer["kept"]["exported"] >= answer["stored_in_all"]
    assert answer["kept"]["stored_again"] == 0
    assert answer["kept"]["days"] > 100
    assert answer["verdicts"] == {"good": "pass", "bad": "blocked"}
    assert answer["sensors"]["sensor.homeiq_events_lost"] == "0"
    assert answer["sensors"]["binary_sensor.homeiq_ingestion_problem"] == "off"
    assert Path(answer["store"]).is_file()
