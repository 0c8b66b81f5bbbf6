"""Untrusted text becomes one automation of plain values, or the reason why not."""

from pathlib import Path

import pytest
import yaml

from homeiq_engine.model import ChildError, Finding, Level
from homeiq_engine.sandbox import ChildRunner, Limits
from homeiq_engine.verdict import Reading, read_automation, read_job, reading_from_answer

from .test_lint import ORDINARY, REFUSED

LIMITS = Limits(wall_s=20, cpu_s=5, memory_mb=128, output_bytes=1_000_000)
BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdefghi", "bcdefghij", strict=True)
)
PLAIN = "alias: x\ntriggers:\n  - trigger: time\n    at: '07:00:00'\nactions:\n  - action: light.turn_on\n"


def code_of(text: str) -> str:
    """Return the one reason for not reading the text."""
    reading = read_automation(text)
    assert reading.automation is None
    (finding,) = reading.findings
    assert finding.level is Level.BLOCKED
    assert finding.check == "reading"
    return finding.code


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (BOMB, "alias"),
        ("a: &t [*t]", "alias"),
        ("a: *t", "alias"),
        ("a: &x 1", "alias"),
        ("a: !secret db_password", "tag"),
        ("a: !include /etc/passwd", "tag"),
        ("a: !env_var SUPERVISOR_TOKEN", "tag"),
        ("a: !include_dir_merge_list /config/.storage", "tag"),
        ("a: !!python/object/apply:os.system ['id']", "tag"),
        ("a: !!binary aGFsbG8=", "tag"),
        ("a: !input b", "tag"),
        ("a: " + "x" * 65_000, "too_long"),
        ("a: " + "ä" * 32_000, "too_long"),
        ("[" * 10_000 + "]" * 10_000, "too_deep"),
        ("[" * 10_000, "too_deep"),
        ("a: [" + "1," * 21_000 + "]", "too_big"),
        ("a: x\x00y", "not_yaml"),
        ("a: [", "not_yaml"),
        ("a: 1\nb: 2\na: 3", "duplicate_key"),
        ("x: {a: 1, a: 2}", "duplicate_key"),
        ("a: 1\n---\nb: 2", "several_documents"),
        ("- a: 1\n- b: 2", "several"),
        ("", "not_automation"),
        ("[]", "not_automation"),
        ("just words", "not_automation"),
        ("- just words", "not_automation"),
        ("[1]: 2", "bad_key"),
        ("1: 2", "bad_key"),
        ("on: x", "bad_key"),
        ("a: 9" + "9" * 30, "bad_value"),
        ("a: " + "9" * 5000, "bad_value"),
        ("a: .inf", "bad_value"),
        ("a: .nan", "bad_value"),
        ("a: 2024-13-45", "bad_value"),
        ("a: ? x", "not_yaml"),
        ('a: "\\ud800"', "not_yaml"),
        ("a: \ud800", "not_text"),
        ("<<: {a: 1}\n<<: {b: 1}", "duplicate_key"),
    ],
)
def test_text_that_is_not_read_gives_its_reason(text: str, code: str) -> None:
    assert code_of(text) == code


def test_without_the_c_library_the_answers_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("homeiq_engine.verdict._yaml._LOADER", yaml.SafeLoader)
    assert code_of(BOMB) == "alias"
    assert code_of("a: !secret x") == "tag"
    assert code_of("[" * 10_000) == "too_deep"
    assert code_of('a: "\\ud800"') == "not_text"
    assert read_automation(PLAIN).automation is not None


def test_values_are_read_as_home_assistant_reads_them() -> None:
    text = "a: on\nb: no\nc: 'on'\nd: 07:00:00\ne: 17:00:00\nf: 1.5\ng: ~\nh: 2024-05-06\ni: {j: [1]}\nk: ü\nl: !!str 1"
    assert read_automation(text).automation == {
        "a": True,
        "b": False,
        "c": "on",
        "d": "07:00:00",
        "e": 61200,
        "f": 1.5,
        "g": None,
        "h": "2024-05-06",
        "i": {"j": [1]},
        "k": "ü",
        "l": "1",
    }


def test_the_editors_list_of_one_is_one_automation() -> None:
    assert read_automation("- alias: x").automation == {"alias": "x"}


def test_a_message_names_the_line() -> None:
    (finding,) = read_automation("a: 1\nb: !secret x").findings
    assert finding.message.startswith("Line 2: ")


def test_the_templates_of_a_readable_text_are_linted() -> None:
    reading = read_automation('conditions: ["{{ 2 ** (10**9) }}"]')
    assert reading.automation is not None
    assert [(finding.code, finding.path) for finding in reading.findings] == [("power", "conditions/0")]


def test_a_job_needs_a_text() -> None:
    with pytest.raises(TypeError):
        read_job({"words": 1})
    with pytest.raises(TypeError):
        read_job(None)


async def test_reading_in_a_confined_child_gives_the_same_as_reading_here() -> None:
    runner = ChildRunner()
    for text in (PLAIN, BOMB, 'conditions: ["{{ \'a\' * 500000000 }}", "{{ x( }}"]'):
        answer = await runner.run("read_automation", {"text": text}, LIMITS)
        assert reading_from_answer(answer) == read_automation(text)


async def test_the_lint_in_a_confined_child_says_what_it_says_here() -> None:
    # Whatever jinja2 would import late cannot be imported in the child: nothing may depend on it.
    templates = [each for all_ in REFUSED.values() for each in all_ if len(each) < 3000] + ORDINARY
    text = "conditions:\n" + "".join("  - '" + each.replace("'", "''") + "'\n" for each in templates)
    answer = await ChildRunner().run("read_automation", {"text": text}, LIMITS)
    assert reading_from_answer(answer) == read_automation(text)


async def test_what_a_child_reads_it_reads_without_home_assistant() -> None:
    job = Path(__file__).parents[3] / "custom_components" / "homeiq" / "engine" / "verdict"
    assert not [path for path in job.glob("*.py") if "homeassistant import" in path.read_text(encoding="utf-8")]


@pytest.mark.parametrize(
    "answer",
    [
        None,
        [],
        {},
        {"automation": None, "findings": []},
        {"automation": "x", "findings": []},
        {"automation": {}, "findings": {}},
        {"automation": {}, "findings": [1]},
        {
            "automation": {},
            "findings": [{"check": "a", "code": "b", "level": "harmless", "message": "c", "path": ""}],
        },
    ],
)
def test_an_answer_that_is_no_reading_is_refused(answer: object) -> None:
    with pytest.raises(ChildError) as caught:
        reading_from_answer(answer)
    assert caught.value.reason == "answer"


def test_a_reading_survives_the_way_through_json() -> None:
    finding = Finding(check="reading", code="tag", level=Level.BLOCKED, message="Line 1: The tag !x", path="")
    answer = {
        "automation": None,
        "findings": [
            {"check": "reading", "code": "tag", "level": "blocked", "message": "Line 1: The tag !x", "path": ""}
        ],
    }
    assert reading_from_answer(answer) == Reading(automation=None, findings=(finding,))
