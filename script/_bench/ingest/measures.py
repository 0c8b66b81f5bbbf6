"""Measure one running home: the loop's time per state, events until durable, the loop's lag, the memory."""

import asyncio
from collections.abc import Sequence
from itertools import batched, cycle
import random
import time
from typing import Final

from homeassistant.core import Event, HomeAssistant, callback

from _bench.common import BenchError, Json, quantile

from .keepers import Keeper, stored
from .workload import Change

SLICE: Final = 50
RUN: Final = 1_000
# So many events may wait; the sender pauses beyond that. Far below the limits of both queues.
WINDOW: Final = 10_000
RATE: Final = 1_000
_TICK_S: Final = 0.005
_PAUSE_S: Final = 0.002


class Sender:
    """Send changes through the state machine and know how many were sent."""

    def __init__(self, hass: HomeAssistant, keeper: Keeper, start: float) -> None:
        """Take the home; ``start`` is the time of the first event, in seconds since the epoch."""
        self._hass = hass
        self._keeper = keeper
        self._start = start
        self.sent = 0

    def send(self, changes: Sequence[Change], *, live: bool = False) -> None:
        """Set states, each with a fresh attributes object as entities do; at their own times or at this moment."""
        set_state = self._hass.states.async_set
        start = self._start
        for item in changes:
            set_state(
                item.entity_id,
                item.state,
                dict(item.attributes),
                False,  # noqa: FBT003 - the state machine's own order of arguments
                item.context,
                item.info,
                None if live else start + item.offset_s,
            )
        self.sent += len(changes)

    async def committed(self) -> None:
        """Wait until all is committed."""
        await self._keeper.settle()

    async def settle(self) -> None:
        """Wait until all is committed; raises BenchError where an event is missing in the file."""
        await self.committed()
        count = await stored(self._keeper)
        if count is not None and count != self.sent:
            raise BenchError(f"{self.sent} events were sent, {count} are in {self._keeper.path}")

    async def room(self, count: int) -> None:
        """Wait until so many more events may wait."""
        await asyncio.sleep(0)
        while self._keeper.depth() > WINDOW - count:
            await asyncio.sleep(_PAUSE_S)


async def loop_time(sender: Sender, changes: Sequence[Change]) -> Json:
    """Return the µs that setting one state takes of the event loop, in runs of 1,000 without a pause.

    ``cpu`` is CPU time of the loop's thread; ``wall`` also holds what that thread waits for the interpreter's lock while
    other threads of the keeper have it.
    """
    cpu = wall = 0.0
    for part in batched(changes, RUN, strict=False):
        await sender.room(RUN)
        before_cpu, before_wall = time.thread_time(), time.perf_counter()
        sender.send(part)
        wall += time.perf_counter() - before_wall
        cpu += time.thread_time() - before_cpu
    await sender.settle()
    return {"cpu": cpu / len(changes) * 1e6, "wall": wall / len(changes) * 1e6}


async def loop_time_with_listener(hass: HomeAssistant, sender: Sender, changes: Sequence[Change]) -> Json:
    """Return the same for a home where someone listens already, as an open dashboard or an automation does."""

    @callback
    def listener(event: Event) -> None:
        return

    remove = hass.bus.async_listen("state_changed", listener)
    try:
        return await loop_time(sender, changes)
    finally:
        remove()


async def throughput(sender: Sender, changes: Sequence[Change]) -> Json:
    """Return events per second from the first one sent until the last one is committed.

    ``cpu_us`` is what one event cost all threads together; it does not tell how busy the machine was.
    """
    before, cpu = time.perf_counter(), time.process_time()
    for part in batched(changes, SLICE, strict=False):
        await sender.room(SLICE)
        sender.send(part)
    await sender.committed()
    spent, cpu = time.perf_counter() - before, time.process_time() - cpu
    await sender.settle()
    return {"events_per_s": len(changes) / spent, "cpu_us": cpu / len(changes) * 1e6}


async def steady(sender: Sender, changes: Sequence[Change], rate: int = RATE) -> Json:
    """Send so many events a second; return the loop's lag in ms and its whole CPU time per event in µs.

    The lag is how much later than asked a sleep of 1 to 5 ms on the same loop ends.
    """
    done = asyncio.Event()
    lags: list[float] = []

    async def probe() -> None:
        chance = random.Random(1)
        for wait in cycle([chance.uniform(0.001, 0.005) for _ in range(1_009)]):
            if done.is_set():
                return
            before = time.perf_counter()
            await asyncio.sleep(wait)
            lags.append(time.perf_counter() - before - wait)

    probing = asyncio.create_task(probe())
    cpu, start = time.thread_time(), time.perf_counter()
    sent = 0
    while sent < len(changes):
        due = min(int((time.perf_counter() - start) * rate), len(changes))
        sender.send(changes[sent:due], live=True)
        sent = due
        await asyncio.sleep(_TICK_S)
    cpu = time.thread_time() - cpu
    done.set()
    await probing
    await sender.settle()
    ordered = sorted(lags)
    return {
        "p50": quantile(ordered, 0.50) * 1e3,
        "p99": quantile(ordered, 0.99) * 1e3,
        "max": ordered[-1] * 1e3,
        "loop_us": cpu / len(changes) * 1e6,
    }
