"""Make a pipeline of real parts around sinks and decoders that a test can bend."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from homeiq_engine.model import EntityFacts, Event, EventKind, RawEvent, StoreError
from homeiq_engine.pipeline import FilterSettings, Pipeline

T0_US = 1_790_000_000_000_000


class ManualClock:
    """Tell the time that the test sets."""

    def __init__(self) -> None:
        """Begin at nought."""
        self.us = T0_US
        self.seconds = 1000.0

    def now_us(self) -> int:
        """Return microseconds UTC."""
        return self.us

    def monotonic(self) -> float:
        """Return seconds."""
        return self.seconds


class ListSink:
    """Keep what is appended in lists, each append as one transaction; fails as long as ``fault`` says so."""

    def __init__(self) -> None:
        """Begin empty and sound."""
        self.batches: list[list[Event]] = []
        self.counters: dict[str, int] = {}
        self.fault: Callable[[Sequence[Event]], Exception | None] = lambda _: None
        self.tries = 0
        self.deduped = 0

    async def append(
        self, events: Sequence[Event], counters: Mapping[str, int] | None = None, *, dedupe: bool = False
    ) -> int:
        """Keep a batch or raise."""
        self.tries += 1
        self.deduped += dedupe
        if (err := self.fault(events)) is not None:
            raise err
        if events:
            self.batches.append(list(events))
        for name, increment in (counters or {}).items():
            self.counters[name] = self.counters.get(name, 0) + increment
        return len(events)

    @property
    def events(self) -> list[Event]:
        """Return all that was kept, in order."""
        return [event for batch in self.batches for event in batch]

    @property
    def states(self) -> list[str | None]:
        """Return the states of all that was kept."""
        return [event.state for event in self.events]

    def fail(self, reason: str) -> None:
        """Refuse everything with a reason from now on."""
        self.fault = lambda _: StoreError("refused", reason=reason)

    def heal(self) -> None:
        """Take everything again."""
        self.fault = lambda _: None


class Facts:
    """Give a picture of the registries that the test can change."""

    def __init__(self, picture: Mapping[str, EntityFacts] | None = None) -> None:
        """Begin with a picture."""
        self.picture: Mapping[str, EntityFacts] = picture or {}

    def snapshot(self) -> Mapping[str, EntityFacts]:
        """Return it."""
        return self.picture


class PassDecoder:
    """Pass raw events on; anything else cannot be read, None is of no interest."""

    def decode(self, item: object) -> RawEvent | None:
        """Return the item itself."""
        if item is None or isinstance(item, RawEvent):
            return item
        raise TypeError("private content must not be logged")


def raw(number: int = 0, **fields: Any) -> RawEvent:
    """Return the numbered state change of a row of them a millisecond apart."""
    given = {
        "kind": EventKind.STATE,
        "time_us": T0_US + number * 1000,
        "entity_id": f"sensor.s{number % 7}",
        "state": str(number),
        "old_state": str(number - 1),
    }
    return RawEvent(**(given | fields))


def pipeline(sink: Any, **given: Any) -> Pipeline:
    """Return a pipeline with plain parts where none are given."""
    parts: dict[str, Any] = {
        "sink": sink,
        "decoder": PassDecoder(),
        "facts": Facts(),
        "clock": ManualClock(),
        "settings": FilterSettings(),
        "started": True,
    }
    return Pipeline(**(parts | given))


def offer(pipeline: Pipeline, count: int, first: int = 0) -> None:
    """Offer consecutive numbered events."""
    for number in range(first, first + count):
        pipeline.buffer.offer(raw(number))


def numbers(count: int, first: int = 0) -> list[str]:
    """Return the states of consecutive numbered events."""
    return [str(number) for number in range(first, first + count)]
