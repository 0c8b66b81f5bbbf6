"""Turn dead letters into lines again."""

import asyncio
from collections.abc import Sequence

from ..model import DeadLetter, Event
from ._batch import Batch, Line
from ._encoding import WINDOW, LineEncoder
from ._settings import InfluxSettings
from ._source import ReplicaSource


async def letters_batch(source: ReplicaSource, settings: InfluxSettings, letters: Sequence[DeadLetter]) -> Batch:
    """Return a line for each letter: encoded anew from its event, or as it was kept if the event is gone.

    A letter whose line was cut and whose event is gone keeps its cut line, which the server refuses again.
    Raises the source's errors.
    """
    lines = [await _line(source, settings, letter) for letter in letters]
    return Batch(lines=lines, last_id=0)


async def _line(source: ReplicaSource, settings: InfluxSettings, letter: DeadLetter) -> Line:
    # Twins are of one microsecond: from all events of it, the encoder tells this one's nanosecond.
    events = await source.events_at(letter.time_us, WINDOW)
    text = await asyncio.to_thread(_encode, settings, events, letter)
    return Line(text, letter.event_id, letter.time_us, letter.entity_id)


def _encode(settings: InfluxSettings, events: Sequence[Event], letter: DeadLetter) -> bytes:
    for line in LineEncoder(settings).encode(events).lines if events else ():
        if line.event_id == letter.event_id:
            return line.text
    return letter.line.encode("utf-8", "replace")
