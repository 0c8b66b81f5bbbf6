"""A home's history becomes judged suggestions: through a real store and a real child."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
import os
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pytest

from homeiq_engine.cycle import MINING_LIMITS, LearningCycle, LearningReport, LearningRequest, mine_job
from homeiq_engine.model import (
    BusyError,
    ChildError,
    Event,
    EventKind,
    Finding,
    Json,
    Level,
    MiningResult,
    Origin,
    StoreError,
    SuggestionState,
)
from homeiq_engine.sandbox import ChildRunner, Limits
from homeiq_engine.store import Store
from tests.engine.synth import Cause, Step, demo_home, generate, initial_steps

TZ = ZoneInfo("Europe/Madrid")
FIRST = date(2026, 3, 2)
DAYS = 35  # with a change of the clocks on 29 March
HOME = demo_home()
_SERVICES = ("light.turn_on", "light.turn_off", "lock.lock", "lock.unlock")
# Lets coverage follow the child; empty when nothing is measured.
COVERAGE = {name: value for name, value in os.environ.items() if name.startswith("COVERAGE")}


class _Clock:
    def now_us(self) -> int:
        return 0

    def monotonic(self) -> float:
        return 0.0


class _LiveHome:
    """Know the demo home's entities and services."""

    def __init__(self, missing: str = "") -> None:
        self._known = {thing.entity_id for thing in HOME.things} - {missing}

    def entity_exists(self, entity_id: str) -> bool | None:
        return entity_id in self._known

    def service_exists(self, domain: str, service: str) -> bool | None:
        return f"{domain}.{service}" in _SERVICES

    def integration_loaded(self, domain: str) -> bool | None:
        return domain in self._known

    def device_exists(self, device_id: str) -> bool | None:
        return device_id in self._known

    def area_exists(self, area_id: str) -> bool | None:
        return area_id in self._known

    def floor_exists(self, floor_id: str) -> bool | None:
        return floor_id in self._known

    def label_exists(self, label_id: str) -> bool | None:
        return label_id in self._known

    def check_service_data(self, domain: str, service: str, data: Mapping[str, Json]) -> str | None:
        return None if "entity_id" in data else f"{domain}.{service} needs an entity"


class _Validator:
    """Object to nothing, and keep what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Mapping[str, Json]] = []

    async def validate(self, config: Mapping[str, Json]) -> Sequence[Finding]:
        self.asked.append(config)
        return ()


class _Answering:
    """Answer every job with the same, once it may."""

    def __init__(self, answer: Json) -> None:
        self.answer = answer
        self.asked: list[tuple[str, Json, Limits]] = []
        self.may = asyncio.Event()
        self.may.set()

    async def run(self, job: str, payload: Json, limits: Limits) -> Json:
        self.asked.append((job, payload, limits))
        await self.may.wait()
        return self.answer


class _Here:
    """Do the real job in this process: a child takes a second."""

    async def run(self, job: str, payload: Json, limits: Limits) -> Json:
        assert (job, limits) == ("mine", MINING_LIMITS)
        return mine_job(payload)


def _us(step: Step) -> int:
    return round(step.when.timestamp() * 1_000_000)


def _events(days: int) -> list[Event]:
    origins = {
        Cause.USER: Origin.USER,
        Cause.DEVICE: Origin.DEVICE,
        Cause.AUTOMATION: Origin.AUTOMATION,
        Cause.SYSTEM: Origin.SYSTEM,
    }
    before: dict[str, tuple[str, int]] = {}
    events = []
    for step in (*initial_steps(HOME, FIRST, TZ), *generate(HOME, FIRST, days, TZ)):
        old, since = before.get(step.entity_id, (None, _us(step)))
        before[step.entity_id] = (step.state, _us(step))
        events.append(
            Event(
                kind=EventKind.STATE,
                time_us=_us(step),
                origin=origins[step.cause],
                entity_id=step.entity_id,
                state=step.state,
                old_state=old,
                held_us=_us(step) - since,
            )
        )
    return events


@pytest.fixture(scope="module")
def events() -> list[Event]:
    return _events(DAYS)


async def _fill(path: Path, events: list[Event]) -> None:
    store = Store(path, _Clock())
    await store.append(events)
    await store.close()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, events: list[Event]) -> Path:
    """Return the file of a store with the whole history; it is only read."""
    path = tmp_path_factory.mktemp("store") / "homeiq.db"
    asyncio.run(_fill(path, events))
    return path


@pytest.fixture
def request_all(events: list[Event]) -> LearningRequest:
    return LearningRequest(start_us=events[0].time_us, end_us=events[-1].time_us, time_zone=TZ.key)


def _cycle(
    path: Path, runner: object, *, home: _LiveHome | None = None, validator: _Validator | None = None
) -> LearningCycle:
    return LearningCycle(
        store_path=path,
        runner=runner,
        home=home or _LiveHome(),
        validator=validator or _Validator(),
        name_of=lambda entity_id: {thing.entity_id: thing.name for thing in HOME.things}[entity_id],
    )


def _child() -> ChildRunner:
    return ChildRunner(environment=COVERAGE)


async def test_the_planted_habits_become_suggestions_and_nothing_else_does(
    store: Path, request_all: LearningRequest
) -> None:
    """Times to five minutes, weekdays exactly; automations and random acts bring forth nothing."""
    report = await _cycle(store, _child()).run(request_all)
    planted = {
        (promise.entity_id, promise.to_state, promise.weekdays, round(promise.minute / 10) % 144)
        for plan in HOME.plans
        for promise in plan.planted()
        if not promise.decoy
    }
    found = {
        (s.habit.entity_id, s.habit.to_state, s.habit.weekdays, round(s.habit.minute / 10) % 144)
        for s in report.suggestions
    }
    assert found == planted
    assert {s.verdict.level for s in report.suggestions} <= {Level.PASS, Level.NOTE, Level.NEEDS_CONFIRMATION}
    assert {s.state for s in report.suggestions} == {SuggestionState.PROPOSED}
    assert report.days_observed >= DAYS - 1


async def test_every_event_of_the_range_was_read(
    store: Path, request_all: LearningRequest, events: list[Event]
) -> None:
    report = await _cycle(store, _Here()).run(replace(request_all, end_us=request_all.end_us + 1))
    assert report.events_read == len(events)


async def test_home_assistant_s_validator_is_asked_about_each_draft(store: Path, request_all: LearningRequest) -> None:
    validator = _Validator()
    report = await _cycle(store, _Here(), validator=validator).run(request_all)
    assert [config["alias"] for config in validator.asked] == [s.draft.config["alias"] for s in report.suggestions]


async def test_a_blocked_suggestion_is_listed_as_blocked(store: Path, request_all: LearningRequest) -> None:
    home = _LiveHome(missing="light.kitchen")
    report = await _cycle(store, _Here(), home=home).run(request_all)
    blocked = [s for s in report.suggestions if s.state is SuggestionState.BLOCKED]
    assert [s.habit.entity_id for s in blocked] == ["light.kitchen"]
    assert blocked[0].verdict.level is Level.BLOCKED


async def test_entities_and_limit_narrow_a_run(store: Path, request_all: LearningRequest) -> None:
    narrow = replace(request_all, entity_ids=("light.kitchen", "lock.front_door"), limit=1)
    report = await _cycle(store, _Here()).run(narrow)
    assert len(report.suggestions) == 1
    assert {r.entity_id for r in report.rejected} <= {"light.kitchen", "lock.front_door"}
    assert "not_in_top" in {r.reason for r in report.rejected}


async def test_the_report_for_a_service_is_json_with_evidence_and_verdict(
    store: Path, request_all: LearningRequest
) -> None:
    report = await _cycle(store, _Here()).run(request_all)
    told = report.as_json()
    assert set(told) == {"suggestions", "rejected", "days_observed", "events_read"}
    first = told["suggestions"][0]
    assert set(first) == {
        "key", "title", "explanation", "state", "automation", "habit", "evidence", "verdict",
    }  # fmt: skip
    assert first["evidence"]["days_held"] == len(first["evidence"]["held_on"])
    assert first["verdict"]["level"] == report.suggestions[0].verdict.level.value
    assert first["title"] == first["automation"]["alias"]
    assert all(set(r) == {"entity_id", "to_state", "reason", "detail"} for r in told["rejected"])


async def test_a_second_run_meanwhile_is_refused_and_a_later_one_is_not(request_all: LearningRequest) -> None:
    runner = _Answering(_EMPTY)
    runner.may.clear()
    cycle = _cycle(Path("unused"), runner)
    first = asyncio.create_task(cycle.run(request_all))
    await asyncio.sleep(0)
    with pytest.raises(BusyError) as refused:
        await cycle.run(request_all)
    runner.may.set()
    assert refused.value.code == "busy"
    assert runner.asked == [("mine", _payload(Path("unused"), request_all), MINING_LIMITS)]
    assert await first == await cycle.run(request_all) == _NOTHING


async def test_a_run_that_failed_does_not_keep_the_next_one_out(tmp_path: Path, request_all: LearningRequest) -> None:
    cycle = _cycle(tmp_path / "none.db", _child())
    for _ in range(2):
        with pytest.raises(ChildError, match="StoreError") as failed:
            await cycle.run(request_all)
        assert failed.value.reason == "failed"


async def test_a_habit_that_no_action_reaches_is_among_the_rejected(store: Path, request_all: LearningRequest) -> None:
    mined = MiningResult.from_json(mine_job(_payload(store, request_all)))
    strange = replace(mined, habits=(replace(mined.habits[0], entity_id="lock.front_door", to_state="open"),))
    report = await _cycle(store, _Answering(strange.as_json())).run(request_all)
    assert report.suggestions == ()
    assert (report.rejected[0].entity_id, report.rejected[0].reason) == ("lock.front_door", "no_action")


@pytest.mark.parametrize("answer", [None, [], {"habits": []}, {"habits": 3, "rejections": []}])
async def test_an_answer_that_is_no_mining_result_is_an_error_of_the_child(
    answer: Json, request_all: LearningRequest
) -> None:
    with pytest.raises(ChildError) as failed:
        await _cycle(Path("unused"), _Answering(answer)).run(request_all)
    assert failed.value.reason == "answer"


async def test_the_job_gives_the_same_in_this_process_and_in_a_child(store: Path, request_all: LearningRequest) -> None:
    payload = _payload(store, request_all)
    assert await _child().run("mine", payload, _LIMITS) == mine_job(payload)


@pytest.mark.parametrize(
    ("field", "value", "error"),
    [
        ("tz", "Nowhere/Else", ZoneInfoNotFoundError),
        ("tz", 3, ValueError),
        ("start_us", "0", ValueError),
        ("end_us", True, ValueError),
        ("entity_ids", "light.a", ValueError),
        ("store", "/nowhere/at/all.db", StoreError),
    ],
)
def test_a_bad_payload_is_refused(
    field: str, value: Json, error: type[Exception], request_all: LearningRequest
) -> None:
    payload = {**_payload(Path("/nowhere/at/all.db"), request_all), field: value}
    with pytest.raises(error):
        mine_job(payload)


def _payload(path: Path, request: LearningRequest) -> dict[str, Json]:
    return {
        "store": str(path),
        "tz": request.time_zone,
        "start_us": request.start_us,
        "end_us": request.end_us,
        "entity_ids": None,
        "limit": request.limit,
    }


_LIMITS = Limits(wall_s=60, cpu_s=60, memory_mb=1024, output_bytes=1_000_000)
_EMPTY: Json = {"habits": [], "rejections": [], "days_observed": 0, "events_read": 0}
_NOTHING = LearningReport(suggestions=(), rejected=(), days_observed=0, events_read=0)
