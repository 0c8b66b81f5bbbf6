"""Run the learning cycle: read and mine in a child, draft, judge, report.

One half, ``mine_job``, runs in the child; the other, ``LearningCycle``, beside Home Assistant. Mining and numpy are
imported by the former only.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol
from zoneinfo import ZoneInfo

from .model import (
    BusyError,
    ChildError,
    DraftError,
    Habit,
    Json,
    Level,
    MiningResult,
    Rejection,
    Suggestion,
    SuggestionState,
    Verdict,
    as_list,
    as_object,
    as_text,
    as_whole,
)
from .ports import AutomationValidator, LiveHome
from .sandbox import Limits
from .store import read_acts
from .suggestions import draft_from_habit
from .verdict import judge

MINING_LIMITS: Final = Limits(wall_s=300, cpu_s=240, memory_mb=1024, output_bytes=16_000_000)
"""Ten million events take about a minute on a small computer; what takes longer has gone wrong."""


class JobRunner(Protocol):
    """Run jobs outside of Home Assistant's process."""

    async def run(self, job: str, payload: Json, limits: Limits) -> Json:
        """Return what the job answers to the payload; raises ChildError."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningRequest:
    """Ask for habits in [start_us, end_us), UTC, in the home's time zone; of all actuators unless some are named."""

    start_us: int
    end_us: int
    time_zone: str
    entity_ids: tuple[str, ...] | None = None
    limit: int = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningReport:
    """Hold what one run came to: suggestions, best first, blocked ones among them, and what became none and why."""

    suggestions: tuple[Suggestion, ...]
    rejected: tuple[Rejection, ...]
    days_observed: int
    events_read: int

    def as_json(self) -> dict[str, Json]:
        """Return the report for a service response."""
        return {
            "suggestions": [suggestion_as_json(suggestion) for suggestion in self.suggestions],
            "rejected": [rejection.as_json() for rejection in self.rejected],
            "days_observed": self.days_observed,
            "events_read": self.events_read,
        }


class LearningCycle:
    """Turn the store's history into judged suggestions, one run at a time."""

    def __init__(
        self,
        *,
        store_path: Path,
        runner: JobRunner,
        home: LiveHome,
        validator: AutomationValidator | None,
        name_of: Callable[[str], str],
    ) -> None:
        """Keep what a run needs; ``name_of`` gives an entity's name for people."""
        self._store_path = store_path
        self._runner = runner
        self._home = home
        self._validator = validator
        self._name_of = name_of
        self._running = False

    async def run(self, request: LearningRequest) -> LearningReport:
        """Mine, draft and judge; the store must have been flushed by whoever wants the newest events in.

        Raises BusyError while another run is under way and ChildError if mining failed.
        """
        if self._running:
            raise BusyError("a learning run is under way already")
        self._running = True
        try:
            mined = await self._mine(request)
            return await self._report(mined)
        finally:
            self._running = False

    async def _mine(self, request: LearningRequest) -> MiningResult:
        payload: dict[str, Json] = {
            "store": str(self._store_path),
            "tz": request.time_zone,
            "start_us": request.start_us,
            "end_us": request.end_us,
            "entity_ids": None if request.entity_ids is None else list(request.entity_ids),
            "limit": request.limit,
        }
        answer = await self._runner.run("mine", payload, MINING_LIMITS)
        try:
            return MiningResult.from_json(as_object(answer))
        except (KeyError, ValueError) as err:
            raise ChildError(f"mining answered something else: {err!r}", reason="answer") from err

    async def _report(self, mined: MiningResult) -> LearningReport:
        suggestions: list[Suggestion] = []
        rejected: list[Rejection] = []
        for habit in mined.habits:
            try:
                suggestions.append(await self._suggest(habit))
            except DraftError as err:
                rejected.append(
                    Rejection(
                        entity_id=habit.entity_id,
                        to_state=habit.to_state,
                        reason=err.placeholders["reason"],
                        detail=str(err),
                    )
                )
        return LearningReport(
            suggestions=tuple(suggestions),
            rejected=(*rejected, *mined.rejections),
            days_observed=mined.days_observed,
            events_read=mined.events_read,
        )

    async def _suggest(self, habit: Habit) -> Suggestion:
        draft = draft_from_habit(habit, self._name_of(habit.entity_id))
        verdict = await judge(draft.config, self._home, self._validator)
        blocked = verdict.level is Level.BLOCKED
        state = SuggestionState.BLOCKED if blocked else SuggestionState.PROPOSED
        return Suggestion(key=draft.key, draft=draft, habit=habit, verdict=verdict, state=state)


def mine_job(payload: Json) -> Json:
    """Be the job "mine": read the store's acts and mine them. Runs in the child and blocks.

    The payload is ``{store, tz, start_us, end_us, entity_ids, limit}``, the answer a MiningResult. Raises KeyError or
    ValueError for another payload, ZoneInfoNotFoundError for an unknown zone and StoreError if reading failed.
    """
    # Only the child pays for numpy: Home Assistant's start must not.
    from .mining import ACTUATOR_DOMAINS, mine  # noqa: PLC0415

    request = as_object(payload)
    tz = ZoneInfo(as_text(request["tz"]))
    chosen = request["entity_ids"]
    entity_ids = None if chosen is None else frozenset(map(as_text, as_list(chosen)))
    columns = read_acts(
        Path(as_text(request["store"])), as_whole(request["start_us"]), as_whole(request["end_us"]), ACTUATOR_DOMAINS
    )
    return mine(columns, tz, entity_ids=entity_ids, limit=as_whole(request["limit"])).as_json()


def verdict_as_json(verdict: Verdict) -> dict[str, Json]:
    """Return a verdict for a service response."""
    return {
        "level": verdict.level.value,
        "findings": [
            {
                "check": finding.check,
                "code": finding.code,
                "level": finding.level.value,
                "message": finding.message,
                "path": finding.path,
            }
            for finding in verdict.findings
        ],
        "checks_run": list(verdict.checks_run),
        "checks_not_run": list(verdict.checks_not_run),
    }


def suggestion_as_json(suggestion: Suggestion) -> Mapping[str, Json]:
    """Return a suggestion for a service response."""
    habit = suggestion.habit
    return {
        "key": suggestion.key,
        "title": suggestion.draft.config["alias"],
        "explanation": suggestion.draft.explanation,
        "state": suggestion.state.value,
        "automation": suggestion.draft.config,
        "habit": {name: value for name, value in habit.as_json().items() if name != "evidence"},
        "evidence": habit.evidence.as_json(),
        "verdict": verdict_as_json(suggestion.verdict),
    }
