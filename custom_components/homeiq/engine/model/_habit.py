"""Define a habit: a mined regularity with the evidence that makes it believable."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Self

from ._json import Json, as_list, as_number, as_object, as_text, as_whole


class HabitKind(StrEnum):
    """Name the form of a habit; one per detector family."""

    TIME = "time"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Hold the figures behind a habit; nothing in here is guessed.

    ``days_observed`` counts usable days; ``days_possible`` those on which the habit could have happened (the
    denominator); ``days_held`` those on which it did, ``first_day`` and ``last_day`` the outermost of these.
    ``base_rate`` is the share of days with the same act in an equally wide window at any other time of day, or at the
    other times within one or three hours where that is more, by the rule of succession (one success and one failure
    added), so it is never nought; ``lift`` is the observed share over it.
    ``wilson_low`` and ``wilson_high`` bound the observed share at 95 % (Wilson 1927). ``p_value`` is one-sided binomial:
    at least ``days_held`` of ``days_possible`` at ``base_rate``. ``q_value`` is that, after Bonferroni over the times and
    weekday sets that the detector looked at for this act, then Benjamini-Hochberg over all candidates of the run.
    ``held_out`` is the share of held days on the last days, which played no part in choosing time and weekdays, None
    where there were too few of them (``held_out_days``).
    """

    days_observed: int
    days_possible: int
    days_held: int
    first_day: date
    last_day: date
    base_rate: float
    lift: float
    wilson_low: float
    wilson_high: float
    p_value: float
    q_value: float
    held_out: float | None
    held_out_days: int
    held_on: tuple[date, ...]
    failed_on: tuple[date, ...]

    def as_json(self) -> dict[str, Json]:
        """Return the figures for a service response or the wire; dates are ISO text."""
        return {
            "days_observed": self.days_observed,
            "days_possible": self.days_possible,
            "days_held": self.days_held,
            "first_day": self.first_day.isoformat(),
            "last_day": self.last_day.isoformat(),
            "base_rate": self.base_rate,
            "lift": self.lift,
            "wilson_low": self.wilson_low,
            "wilson_high": self.wilson_high,
            "p_value": self.p_value,
            "q_value": self.q_value,
            "held_out": self.held_out,
            "held_out_days": self.held_out_days,
            "held_on": [day.isoformat() for day in self.held_on],
            "failed_on": [day.isoformat() for day in self.failed_on],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Json]) -> Self:
        """Read back what as_json wrote; raises KeyError or ValueError for anything else."""
        held_out = data["held_out"]
        return cls(
            days_observed=as_whole(data["days_observed"]),
            days_possible=as_whole(data["days_possible"]),
            days_held=as_whole(data["days_held"]),
            first_day=date.fromisoformat(as_text(data["first_day"])),
            last_day=date.fromisoformat(as_text(data["last_day"])),
            base_rate=as_number(data["base_rate"]),
            lift=as_number(data["lift"]),
            wilson_low=as_number(data["wilson_low"]),
            wilson_high=as_number(data["wilson_high"]),
            p_value=as_number(data["p_value"]),
            q_value=as_number(data["q_value"]),
            held_out=None if held_out is None else as_number(held_out),
            held_out_days=as_whole(data["held_out_days"]),
            held_on=tuple(date.fromisoformat(as_text(day)) for day in as_list(data["held_on"])),
            failed_on=tuple(date.fromisoformat(as_text(day)) for day in as_list(data["failed_on"])),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Habit:
    """State that an entity is brought into a state at a time of day on certain weekdays.

    ``key`` is stable over runs. ``minute`` is local minutes after midnight (0 to below 1440), ``spread_min`` the
    circular standard deviation in minutes, ``window_min`` how far from ``minute`` an act still counts, ``weekdays`` are
    ints with 0 for Monday. A day is the date on which ``minute`` falls: of a habit at 23:58, an act at 00:05 counts
    for the day before.
    """

    key: str
    kind: HabitKind
    entity_id: str
    to_state: str
    minute: float
    spread_min: float
    window_min: float
    weekdays: tuple[int, ...]
    evidence: Evidence

    def as_json(self) -> dict[str, Json]:
        """Return the habit for a service response or the wire."""
        return {
            "key": self.key,
            "kind": self.kind.value,
            "entity_id": self.entity_id,
            "to_state": self.to_state,
            "minute": self.minute,
            "spread_min": self.spread_min,
            "window_min": self.window_min,
            "weekdays": list(self.weekdays),
            "evidence": self.evidence.as_json(),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Json]) -> Self:
        """Read back what as_json wrote; raises KeyError or ValueError for anything else."""
        return cls(
            key=as_text(data["key"]),
            kind=HabitKind(as_text(data["kind"])),
            entity_id=as_text(data["entity_id"]),
            to_state=as_text(data["to_state"]),
            minute=as_number(data["minute"]),
            spread_min=as_number(data["spread_min"]),
            window_min=as_number(data["window_min"]),
            weekdays=tuple(as_whole(day) for day in as_list(data["weekdays"])),
            evidence=Evidence.from_json(as_object(data["evidence"])),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """Say why a candidate did not become a habit or a suggestion.

    ``reason`` is a code, ``detail`` the figures in English.
    """

    entity_id: str
    to_state: str
    reason: str
    detail: str

    def as_json(self) -> dict[str, Json]:
        """Return the rejection for a service response or the wire."""
        return {
            "entity_id": self.entity_id,
            "to_state": self.to_state,
            "reason": self.reason,
            "detail": self.detail,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Json]) -> Self:
        """Read back what as_json wrote; raises KeyError or ValueError for anything else."""
        return cls(
            entity_id=as_text(data["entity_id"]),
            to_state=as_text(data["to_state"]),
            reason=as_text(data["reason"]),
            detail=as_text(data["detail"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class MiningResult:
    """Hold what a mining run found.

    ``habits`` are best first. ``rejections`` say, for each entity and state without a habit, why its likeliest
    candidate failed; habits beyond the limit are there too. ``days_observed`` counts usable days, ``events_read`` events
    of any kind.
    """

    habits: tuple[Habit, ...]
    rejections: tuple[Rejection, ...]
    days_observed: int
    events_read: int

    def as_json(self) -> dict[str, Json]:
        """Return the result for the wire."""
        return {
            "habits": [habit.as_json() for habit in self.habits],
            "rejections": [rejection.as_json() for rejection in self.rejections],
            "days_observed": self.days_observed,
            "events_read": self.events_read,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Json]) -> Self:
        """Read back what as_json wrote; raises KeyError or ValueError for anything else."""
        return cls(
            habits=tuple(Habit.from_json(as_object(item)) for item in as_list(data["habits"])),
            rejections=tuple(Rejection.from_json(as_object(item)) for item in as_list(data["rejections"])),
            days_observed=as_whole(data["days_observed"]),
            events_read=as_whole(data["events_read"]),
        )
