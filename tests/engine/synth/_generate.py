"""Turn a home's plans into one stream of state changes in the order of time."""

from collections.abc import Iterator
from datetime import date, timedelta
from zoneinfo import ZoneInfo

from ._home import Home
from ._model import Cause, Day, Step


def initial_steps(home: Home, first_day: date, tz: ZoneInfo) -> list[Step]:
    """Return the states in which everything stands half a day before the first day, as a start-up would restore them."""
    # Before anything that belongs to the first day: a habit at midnight is prepared on the evening before.
    begin = Day(first_day, tz, seed=0, key="").at(-720)
    return [
        Step(when=begin, entity_id=thing.entity_id, state=thing.initial, cause=Cause.SYSTEM) for thing in home.things
    ]


def generate(home: Home, first_day: date, days: int, tz: ZoneInfo, seed: int = 0) -> list[Step]:
    """Return every change of state from the first day on, sorted by time; a step that changes nothing is left out.

    The chance of a plan on a day depends on the seed, the plan's key and the date alone.
    """
    standing = {thing.entity_id: thing.initial for thing in home.things}
    changes = []
    for step in sorted(_planned(home, first_day, days, tz, seed), key=lambda step: (step.when, step.entity_id)):
        if standing[step.entity_id] != step.state:
            standing[step.entity_id] = step.state
            changes.append(step)
    return changes


def _planned(home: Home, first_day: date, days: int, tz: ZoneInfo, seed: int) -> Iterator[Step]:
    for offset in range(days):
        day = first_day + timedelta(days=offset)
        for plan in home.plans:
            yield from plan.steps(Day(day, tz, seed=seed, key=plan.key))
