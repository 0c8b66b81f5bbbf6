"""Answer the services that learn and judge: the engine's cycle with Home Assistant's own facts."""

from collections.abc import Mapping
from typing import Final, cast

from homeassistant.core import HomeAssistant
from homeassistant.util.json import JsonObjectType

from .adapters.automation_host import HassAutomationValidator
from .adapters.live_home import HassLiveHome
from .engine.cycle import LearningCycle, LearningRequest, verdict_as_json
from .engine.model import ChildError, Finding, Json, Level, Verdict
from .engine.sandbox import ChildRunner, Limits
from .engine.store import Store
from .engine.verdict import READING, judge_reading, reading_from_answer
from .times import DAY_US, now_us

# 64 kB of YAML are read in 0.1 s on a small box; what takes longer is an attack.
_READING: Final = Limits(wall_s=10.0, cpu_s=5, memory_mb=256, output_bytes=2_000_000)


class Learning:
    """Learn from the store and judge automations, for one config entry."""

    def __init__(self, hass: HomeAssistant, store: Store) -> None:
        """Put the cycle together; no process is started before it is needed."""
        self._hass = hass
        self._runner = ChildRunner()
        self._home = HassLiveHome(hass)
        self._validator = HassAutomationValidator(hass)
        self._cycle = LearningCycle(
            store_path=store.path,
            runner=self._runner,
            home=self._home,
            validator=self._validator,
            name_of=self._name_of,
        )

    async def async_suggest(self, *, days: int, entity_ids: tuple[str, ...] | None, limit: int) -> JsonObjectType:
        """Return suggestions from the last days' events, with evidence and verdict; raises EngineError.

        The newest events must have been flushed.
        """
        now = now_us()
        report = await self._cycle.run(
            LearningRequest(
                start_us=now - days * DAY_US,
                end_us=now,
                time_zone=self._hass.config.time_zone,
                entity_ids=entity_ids,
                limit=limit,
            )
        )
        return cast(JsonObjectType, report.as_json())

    async def async_validate(self, text: str) -> JsonObjectType:
        """Return the verdict on an automation's text; raises ChildError if no child could be started.

        A text that brings its reader down is blocked: the reader is a child with limits, and dying in it is an answer.
        """
        try:
            answer = await self._runner.run("read_automation", {"text": text}, _READING)
        except ChildError as err:
            if err.reason == "start":
                raise
            return _answer(_unreadable(err), None)
        reading = reading_from_answer(answer)
        verdict = await judge_reading(reading, self._home, self._validator)
        return _answer(verdict, reading.automation)

    def _name_of(self, entity_id: str) -> str:
        state = self._hass.states.get(entity_id)
        return entity_id if state is None else state.name


def _answer(verdict: Verdict, automation: Mapping[str, Json] | None) -> JsonObjectType:
    return cast(JsonObjectType, {**verdict_as_json(verdict), "automation": automation})


def _unreadable(err: ChildError) -> Verdict:
    return Verdict(
        findings=(
            Finding(
                check=READING,
                code=f"reader_{err.reason}",
                level=Level.BLOCKED,
                message=f"The text could not be read within the limits ({err.reason}).",
            ),
        ),
        checks_run=(READING,),
    )
