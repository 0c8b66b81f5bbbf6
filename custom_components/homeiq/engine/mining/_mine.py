"""Run the detectors over a home's acts and return the habits that stand, best first, with a reason for each that does not."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final
from zoneinfo import ZoneInfo

from ..model import ActColumns, HabitKind, MiningResult, Rejection
from . import _time_of_day
from ._acts import Series, series_of_acts
from ._calendar import HomeDays
from ._candidate import Candidate, Judged, judge_all
from ._ranking import merge, top

type Detector = Callable[[Series, HomeDays], Iterator[Candidate]]

DETECTORS: Final[Mapping[HabitKind, Detector]] = MappingProxyType({HabitKind.TIME: _time_of_day.detect})


def mine(
    columns: ActColumns, tz: ZoneInfo, *, entity_ids: Collection[str] | None = None, limit: int = 20
) -> MiningResult:
    """Return the habits in the columns, at most ``limit``, for all actuators or only some entities."""
    days = HomeDays.lay_out(columns, tz)
    series = series_of_acts(columns, tz, entity_ids)
    candidates: list[Candidate] = []
    idle: list[Rejection] = []
    for acts in series:
        found = [candidate for detect in DETECTORS.values() for candidate in detect(acts, days)]
        candidates += found
        if not found:
            idle.append(_nothing(acts))
    judged = judge_all(candidates)
    habits, beyond = top(merge([habit for habit, rejection in judged if rejection is None]), limit)
    return MiningResult(
        habits=tuple(habits),
        rejections=(*beyond, *_nearest_misses(judged), *idle),
        days_observed=days.observed,
        events_read=columns.events_read,
    )


def _nearest_misses(judged: Sequence[Judged]) -> list[Rejection]:
    """Return why the likeliest candidate failed, of each entity and state that has no habit."""
    lucky = {(habit.entity_id, habit.to_state) for habit, rejection in judged if rejection is None}
    misses: dict[tuple[str, str], Rejection] = {}
    for habit, rejection in sorted(judged, key=lambda pair: pair[0].evidence.q_value):
        place = (habit.entity_id, habit.to_state)
        if rejection is not None and place not in lucky:
            misses.setdefault(place, rejection)
    return list(misses.values())


def _nothing(acts: Series) -> Rejection:
    """Return why no detector saw even a candidate in the acts."""
    return Rejection(
        entity_id=acts.entity_id,
        to_state=acts.to_state,
        reason="too_few_days",
        detail=f"{acts.wall.size} acts in all, on too few usable days around any time of day",
    )
