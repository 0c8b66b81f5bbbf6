"""Name the questions that a home asks its store, and what each may be asked with."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
import random
from typing import Final

import _bench.engine  # noqa: F401 - it loads the engine
from homeiq_engine.model import EventKind, EventQuery, Origin

DAY_US: Final = 86_400_000_000
PAGE: Final = 1_000
MOST: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """Describe what the store holds: its entities and the time of its events, [start_us, end_us)."""

    entities: Sequence[str]
    start_us: int
    end_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Be one kind of question; ``all_pages`` reads on to the last page, ``count`` is how often it is asked."""

    query: Callable[[random.Random, Home], EventQuery]
    count: int = 40
    all_pages: bool = False


def questions() -> Mapping[str, Question]:
    """Return all questions; those whose names begin with ``page_`` are pages of 1,000 rows of every shape there is."""

    def some(number: int, **fields: object) -> Callable[[random.Random, Home], EventQuery]:
        """Ask for a page of some entities up to a random moment, newest first."""

        def query(chance: random.Random, home: Home) -> EventQuery:
            wanted = EventQuery(
                entity_ids=tuple(chance.sample(home.entities, min(number, len(home.entities)))),
                end_us=_moment(chance, home),
                newest_first=True,
                limit=PAGE,
            )
            return replace(wanted, **fields)

        return query

    def of_all(**fields: object) -> Callable[[random.Random, Home], EventQuery]:
        """Ask for a page of all entities from a random moment on."""

        def query(chance: random.Random, home: Home) -> EventQuery:
            return replace(EventQuery(start_us=_moment(chance, home), limit=PAGE), **fields)

        return query

    def last_day(chance: random.Random, home: Home) -> EventQuery:
        return EventQuery(
            entity_ids=(chance.choice(home.entities),), start_us=home.end_us - DAY_US, end_us=home.end_us, limit=MOST
        )

    def any_day(chance: random.Random, home: Home) -> EventQuery:
        start = chance.randint(home.start_us, max(home.end_us - DAY_US, home.start_us))
        return EventQuery(start_us=start, end_us=start + DAY_US, limit=MOST)

    return {
        "entity_lookup": Question(query=some(1, end_us=None, limit=1), count=100),
        "device_lookup": Question(query=some(4, end_us=None, limit=10), count=100),
        "entity_last_day": Question(query=last_day, all_pages=True),
        "page_all": Question(query=of_all()),
        "page_all_newest": Question(query=of_all(start_us=None, newest_first=True)),
        "page_1_entity": Question(query=some(1)),
        "page_5_entities": Question(query=some(5)),
        "page_50_entities": Question(query=some(50)),
        "page_kind_attributes": Question(query=of_all(kinds=(EventKind.ATTRIBUTES,))),
        "page_kind_state": Question(query=of_all(kinds=(EventKind.STATE,), newest_first=True)),
        "page_kind_never": Question(query=of_all(kinds=(EventKind.SCRIPT, EventKind.LOG), start_us=None), count=5),
        "page_origin_user": Question(query=of_all(origins=(Origin.USER,))),
        "page_origin_never": Question(query=of_all(origins=(Origin.SCENE,), start_us=None), count=5),
        "page_1_entity_origin_never": Question(query=some(1, end_us=None, origins=(Origin.SCENE,))),
        "day_of_all": Question(query=any_day, count=5, all_pages=True),
    }


def _moment(chance: random.Random, home: Home) -> int:
    return chance.randint(home.start_us, home.end_us)
