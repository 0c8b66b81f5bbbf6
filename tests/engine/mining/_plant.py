"""Plant acts in columns, as the store would read them: a small home whose truth is known."""

from array import array
from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from random import Random
from zoneinfo import ZoneInfo

from homeiq_engine.model import SLOT_US, ActColumns, Origin

ORIGINS = tuple(Origin)
FIRST = date(2026, 3, 2)  # a Monday


class Home:
    """Collect state changes and signs of life of a home over whole local days."""

    def __init__(self, days: int, *, tz: str = "Europe/Berlin", first: date = FIRST, seed: int = 1) -> None:
        self.tz = ZoneInfo(tz)
        self.first = first
        self.days = days
        self.random = Random(seed)
        self.rows: list[tuple[str, int, str, str | None, Origin]] = []
        self.silent: list[tuple[int, int]] = []
        self.outages: list[tuple[int, int]] = []
        self.entity_count = 10

    def us(self, day: int, minute: float) -> int:
        """Return UTC microseconds of a wall minute of a day; minutes may run over midnight."""
        whole, rest = divmod(minute, 1440)
        local = datetime.combine(self.first + timedelta(days=day + int(whole)), time(), self.tz)
        wall = local.replace(hour=int(rest // 60), minute=int(rest % 60), second=int(rest % 1 * 60))
        return round(wall.timestamp() * 1_000_000)

    def change(self, entity: str, us: int, state: str, old: str | None, origin: Origin = Origin.DEVICE) -> None:
        self.rows.append((entity, us, state, old, origin))

    def act(self, entity: str, day: int, minute: float, state: str = "on", origin: Origin = Origin.DEVICE) -> None:
        """Bring an entity into a state, from another."""
        self.change(entity, self.us(day, minute), state, "off" if state != "off" else "on", origin)

    def habit(
        self,
        entity: str,
        minute: float,
        *,
        spread: float = 6.0,
        weekdays: Iterable[int] = range(7),
        chance: float = 1.0,
        days: Iterable[int] | None = None,
        state: str = "on",
        origin: Origin = Origin.DEVICE,
    ) -> None:
        """Plant an act around a minute on the weekdays of the days."""
        wanted = set(weekdays)
        for day in range(self.days) if days is None else days:
            if (self.first + timedelta(days=day)).weekday() in wanted and self.random.random() < chance:
                self.act(entity, day, minute + self.random.gauss(0, spread), state, origin)

    def noise(self, entity: str, per_day: float, *, hours: tuple[float, float] = (0, 24), state: str = "on") -> None:
        """Plant acts at random times, evenly over some hours of the day."""
        for _ in range(round(per_day * self.days)):
            minute = self.random.uniform(hours[0] * 60, hours[1] * 60)
            self.act(entity, self.random.randrange(self.days), minute, state)

    def silence(self, start_us: int, end_us: int) -> None:
        """Let nothing be recorded for a while: Home Assistant is down."""
        self.silent.append((start_us, end_us))

    def columns(self, *, sensors: bool = True) -> ActColumns:
        """Return the home as columns; with sensors something reports in every quarter of an hour."""
        start_us, end_us = self.us(0, 0), self.us(self.days, 0)
        slots = [
            slot
            for slot in range(start_us // SLOT_US, end_us // SLOT_US)
            if not any(first <= slot * SLOT_US < last for first, last in self.silent)
        ]
        if not sensors:
            slots = sorted({row[1] // SLOT_US for row in self.rows})
        rows = [row for row in self.rows if not any(first <= row[1] < last for first, last in self.silent)]
        rows.sort(key=lambda row: row[:2])
        entities = sorted({row[0] for row in rows})
        states = sorted({text for row in rows for text in row[2:4] if text is not None})
        return ActColumns(
            start_us=start_us,
            end_us=end_us,
            time_us=array("q", [row[1] for row in rows]),
            entity=array("i", [entities.index(row[0]) for row in rows]),
            state=array("i", [states.index(row[2]) for row in rows]),
            old_state=array("i", [-1 if row[3] is None else states.index(row[3]) for row in rows]),
            origin=array("b", [ORIGINS.index(row[4]) for row in rows]),
            entities=tuple(entities),
            states=tuple(states),
            slots=array("q", slots),
            slot_events=array("q", [1] * len(slots)),
            outage_start_us=array("q", [start for start, _ in self.outages]),
            outage_end_us=array("q", [end for _, end in self.outages]),
            entity_count=self.entity_count,
        )
