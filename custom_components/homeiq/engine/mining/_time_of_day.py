"""Detect acts that come at the same time of day: the modes of a circular density, each with a window of its own.

For each entity and state: smooth the acts over the 24 hours (all days, weekdays, weekends), take the peaks, fit centre
and width of each from the acts around it, choose the weekdays, count. Centre, width and weekdays come from the training
days alone; the counts are over all usable days, the held-out share over the rest.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from math import ceil
from typing import Final

import numpy as np

from ..model import Evidence, Habit, HabitKind
from ._acts import Series
from ._calendar import Bools, HomeDays, Ints
from ._candidate import MIN_HELD_OUT_DAYS, Candidate, span
from ._circular import DAY_MIN, Floats, density, distance, mean_and_spread, peaks, quantile
from ._significance import binomial_tail, wilson
from ._weekdays import ALL, LOOKS, WEEKDAYS, WEEKEND, likeliest, members

BANDWIDTH_MIN: Final = 12.0
"""Smoothing of the density: about the spread of a household's punctual habits, so that each is one peak."""
APART_MIN: Final = 30.0
"""Peaks nearer than this are one habit: people are not punctual to less."""
MOST_PEAKS: Final = 6
"""Nobody does one and the same thing by the clock more often a day; what has more peaks follows something else."""
REACH_MIN: Final = 60.0
"""How far around a peak acts are taken for its own while it is fitted; also the widest window that is a time of day."""
NARROWEST_MIN: Final = 5.0
"""Nobody's clock is better than this, and a narrower window would call a good day a failed one."""
PER_SPREAD: Final = 2.5
"""A window of 2.5 standard deviations to each side holds 98.8 % of a normal scatter."""
FEW_DAYS: Final = 2.0
"""Few acts understate the scatter: the window is this share wider, over their number."""
MAD_TO_SPREAD: Final = 1.4826
"""Median absolute deviation to standard deviation, for a normal scatter."""
MAX_SPREAD_MIN: Final = 25.0
"""An even scatter over the widest window has 35 min; people who mean a time have less than 25."""
NEAR_MIN: Final = (60.0, 180.0)
"""How far around a window its neighbourhoods go: a light that is used all evening has no time, only an evening."""
NEAR_LEAST: Final = 2
"""Windows of a neighbourhood to each side, however wide they are."""
MIN_CONTRAST: Final = 2.0
"""The window must hold twice as often as either of its neighbours, or the act has a season of the day, not a time."""
MIN_HELD_DAYS: Final = 5
"""Four coincidences make no habit, whatever their p-value."""
MIN_SHARE: Final = 0.6
"""An automation that would be unwanted on more than two days in five is a nuisance."""
MIN_WILSON: Final = 0.4
"""The same with 97.5 % confidence, a little lower because months of weekends are few days."""
QUARTILES_TO_SPREAD: Final = 0.7413
"""Distance between the quartiles to standard deviation, for a normal scatter."""
GRASP: Final = 2.0
"""Acts this many windows around the centre take part in the fit; medians do not mind the strangers among them."""
SETTLED_MIN: Final = 0.5
"""A window that moves by less than half a minute has found its place."""
_FITS: Final = 4
"""Rounds of moving the window onto its acts, at most; it has settled after two or three."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Window:
    """Hold a time of day with the width in which an act still counts, in minutes."""

    minute: float
    half_min: float
    spread_min: float


def detect(series: Series, days: HomeDays) -> Iterator[Candidate]:
    """Yield every time of day that the acts gather around, good or poor: all of them count as tests."""
    minutes = series.wall % DAY_MIN
    day = np.floor(series.wall / DAY_MIN).astype(np.int64) - days.first_day
    inside = days.in_range(day)
    found: list[tuple[float, tuple[int, ...]]] = []
    for weekdays in (ALL, WEEKDAYS, WEEKEND):
        learnt = days.train & members(days.weekday, weekdays)
        seen = inside.copy()
        seen[inside] = learnt[day[inside]]
        if np.unique(day[seen]).size < MIN_HELD_DAYS:
            continue
        for peak in peaks(density(minutes[seen], BANDWIDTH_MIN), APART_MIN, MOST_PEAKS):
            window = _fit(series, days, learnt, float(peak))
            if window is None:
                continue
            candidate = _count(series, days, window)
            place = (candidate.habit.minute, candidate.habit.weekdays)
            # Two peaks, or two groups of days, often settle in one and the same place.
            if all(distance(place[0], old) >= NARROWEST_MIN or place[1] != sets for old, sets in found):
                found.append(place)
                yield candidate


def _fit(series: Series, days: HomeDays, learnt: Bools, peak: float) -> _Window | None:
    """Move a window onto the acts around a peak, one act a day; None if there are too few days with any."""
    centre, half, grasp = peak, REACH_MIN, REACH_MIN
    for _ in range(_FITS):
        offsets = _one_a_day(series, days, learnt, centre, grasp)
        if offsets.size < MIN_HELD_DAYS:
            return None
        low, middle, high = (quantile(offsets, share) for share in (0.25, 0.5, 0.75))
        # Either alone can be nought although the acts scatter, where many share one minute.
        scatter = max(
            MAD_TO_SPREAD * quantile(np.sort(np.abs(offsets - middle)), 0.5), QUARTILES_TO_SPREAD * (high - low)
        )
        centre = (centre + middle) % DAY_MIN
        half = min(REACH_MIN, max(NARROWEST_MIN, float(ceil(PER_SPREAD * scatter * (1 + FEW_DAYS / offsets.size)))))
        # The scatter is measured over more than its own window, or each round would find the acts closer together.
        last, grasp = grasp, min(REACH_MIN, GRASP * half)
        if grasp == last and abs(middle) < SETTLED_MIN:
            break
    offsets = _one_a_day(series, days, learnt, centre, half)
    if offsets.size < MIN_HELD_DAYS:
        return None
    minute, _ = mean_and_spread((centre + offsets) % DAY_MIN)
    # The nearest acts of each day lie close by choice; how far people scatter, all of them tell.
    day, offset = days.nearest(series.wall, minute)
    near = np.flatnonzero(days.in_range(day) & (np.abs(offset) <= half))
    _, spread = mean_and_spread(offset[near[learnt[day[near]]]])
    return _Window(minute=minute, half_min=half, spread_min=spread)


def _one_a_day(series: Series, days: HomeDays, learnt: Bools, centre: float, half: float) -> Floats:
    """Return how far from the centre the nearest act of each learnt day came, ascending, of days with one in the window."""
    day, offset = days.nearest(series.wall, centre)
    near = np.flatnonzero(days.in_range(day) & (np.abs(offset) <= half))
    near = near[learnt[day[near]]]
    near = near[np.lexsort((np.abs(offset[near]), day[near]))]
    days_near = day[near]
    first = np.ones(days_near.size, dtype=np.bool_)
    first[1:] = days_near[1:] != days_near[:-1]
    return np.sort(offset[near[first]])


def _count(series: Series, days: HomeDays, window: _Window) -> Candidate:
    """Choose the weekdays, then count over all usable days."""
    size = len(days.usable)
    day, offset = days.nearest(series.wall, window.minute)
    ok = days.in_range(day)
    day, offset = day[ok], offset[ok]
    held = np.zeros(size, dtype=np.bool_)
    held[day[np.abs(offset) <= window.half_min]] = True
    held &= days.usable
    # An hour can look blind although the act itself was seen in it.
    possible = days.possible(window.minute, window.half_min) | held
    weekdays = likeliest(held & days.train, possible & days.train, days.weekday)
    chosen = possible & members(days.weekday, weekdays)
    evidence, contrast = _evidence(days, (held & chosen, chosen), (day, offset), window.half_min)
    habit = Habit(
        key=_key(series, window.minute, weekdays),
        kind=HabitKind.TIME,
        entity_id=series.entity_id,
        to_state=series.to_state,
        minute=window.minute,
        spread_min=window.spread_min,
        window_min=window.half_min,
        weekdays=weekdays,
        evidence=evidence,
    )
    # Windows may begin anywhere, not just side by side: half a window's step is as good as all of them.
    looks = 2 * ceil(DAY_MIN / (2 * window.half_min)) * LOOKS
    return Candidate(habit=habit, looks=looks, failing=_failing(habit, contrast))


def _evidence(
    days: HomeDays, counted: tuple[Bools, Bools], acts: tuple[Ints, Floats], half: float
) -> tuple[Evidence, float]:
    """Return the figures, and how many times as often the window holds as the fuller of its two neighbours."""
    held, chosen = counted
    possible_days, held_days = int(chosen.sum()), int(held.sum())
    # Windows of the same width side by side around the day; number 0 is the habit's own.
    day, offset = acts
    number = np.floor((offset + half) / (2 * half)).astype(np.int64)
    most = int((DAY_MIN / 2 - half) // (2 * half))
    elsewhere = (number != 0) & (np.abs(number) <= most) & chosen[day]
    # One count for each day and window, however often it happened there.
    place = np.unique(day[elsewhere] * (2 * most + 1) + number[elsewhere] + most) % (2 * most + 1) - most
    around = [max(NEAR_LEAST, int(reach // (2 * half))) for reach in NEAR_MIN]
    base_rate = max(
        _succession(int((np.abs(place) <= count).sum()), 2 * count * possible_days) for count in (*around, most)
    )
    fuller = max(int((place == side).sum()) for side in (-1, 1))

    kept_back = chosen & ~days.train
    kept_back_days = int(kept_back.sum())
    enough = kept_back_days >= MIN_HELD_OUT_DAYS
    held_on = tuple(days.date_of(index) for index in np.flatnonzero(held))
    failed_on = tuple(days.date_of(index) for index in np.flatnonzero(chosen & ~held))
    first_day, last_day = span(held_on, days.date_of(0))
    low, high = wilson(held_days, possible_days) if possible_days else (0.0, 1.0)
    share = held_days / possible_days if possible_days else 0.0
    evidence = Evidence(
        days_observed=days.observed,
        days_possible=possible_days,
        days_held=held_days,
        first_day=first_day,
        last_day=last_day,
        base_rate=base_rate,
        lift=share / base_rate,
        wilson_low=low,
        wilson_high=high,
        p_value=binomial_tail(held_days, possible_days, base_rate),
        q_value=1.0,
        held_out=int((held & kept_back).sum()) / kept_back_days if enough else None,
        held_out_days=kept_back_days,
        held_on=held_on,
        failed_on=failed_on,
    )
    return evidence, held_days / fuller if fuller else float("inf")


def _succession(successes: int, trials: int) -> float:
    """Return a share by Laplace's rule of succession, which is never nought nor one."""
    return (successes + 1) / (trials + 2)


def _failing(habit: Habit, contrast: float) -> tuple[str, str] | None:
    evidence = habit.evidence
    counts = f"{evidence.days_held} of {evidence.days_possible} days"
    if evidence.days_held < MIN_HELD_DAYS:
        return "too_few_days", f"{counts}; {MIN_HELD_DAYS} are the least"
    if habit.spread_min > MAX_SPREAD_MIN or contrast < MIN_CONTRAST:
        return (
            "too_scattered",
            f"{counts} around {_clock(habit.minute)}, spread over {habit.spread_min:.0f} min and beyond",
        )
    if evidence.days_held < MIN_SHARE * evidence.days_possible or evidence.wilson_low < MIN_WILSON:
        return "not_regular", f"{counts} around {_clock(habit.minute)}; surely {evidence.wilson_low:.0%}"
    return None


def _clock(minute: float) -> str:
    whole = int(minute)
    return f"{whole // 60:02d}:{whole % 60:02d}"


def _key(series: Series, minute: float, weekdays: tuple[int, ...]) -> str:
    """Return a key that stays the same while the time moves by some minutes: it knows the nearest half hour only."""
    half_hour = round(minute / 30) % 48
    days = "".join(map(str, weekdays))
    text = f"{HabitKind.TIME}|{series.entity_id}|{series.to_state}|{half_hour}|{days}"
    return sha256(text.encode()).hexdigest()[:16]
