"""Whatever happens to server, replica and store in whatever order, each event is there once in the end."""

import asyncio
from collections.abc import Awaitable, Callable
from random import Random

import pytest

from homeiq_engine.replica import InfluxSettings
from homeiq_engine.store import Follower, Store
from tests.servers.face_process import FaceProcess

from .driving import caught_up, make_replica, running, states
from .samples import START_US, state_event, state_events

pytestmark = pytest.mark.server

type Trouble = Callable[[FaceProcess, Random], Awaitable[None]]


async def _restart(influx: FaceProcess, random: Random) -> None:
    """Take the server away for a moment."""
    await asyncio.to_thread(influx.stop)
    await asyncio.sleep(random.uniform(0, 0.3))
    await asyncio.to_thread(influx.start)


async def _refuse(influx: FaceProcess, random: Random) -> None:
    """Answer some writes with a failure, before or after storing them."""
    influx.fail_writes(
        random.choice([401, 403, 429, 500, 503]), count=random.randint(1, 6), after_storing=random.random() < 0.5
    )


async def _shrink(influx: FaceProcess, random: Random) -> None:
    """Take less at a time."""
    influx.behave(max_body=random.choice([20_000, 60_000, 200_000]))


async def _hang(influx: FaceProcess, random: Random) -> None:
    """Answer nothing for a while; what was sent is carried out later."""
    influx.freeze()
    await asyncio.sleep(random.uniform(0.1, 0.7))
    influx.thaw()


@pytest.mark.parametrize("seed", range(3))
async def test_no_order_of_troubles_loses_or_doubles_an_event(
    store: Store, settings: InfluxSettings, influx: FaceProcess, seed: int
) -> None:
    """Outages, refusals, small limits, hanging, restarts of the replica and a resend, with poison in between."""
    random = Random(seed)
    troubles: list[Trouble] = [_restart, _refuse, _shrink, _hang, _refuse, _hang]
    random.shuffle(troubles)
    form = f'climate value="text" {START_US * 1000}'.encode()
    influx._open(f"{influx.influxql_url}/write?db={settings.bucket}", form)
    stored = 0
    for trouble in troubles:
        replica = make_replica(store, settings, timeout_s=0.4)
        async with running(replica):
            for _ in range(random.randint(1, 4)):
                await store.append([*state_events(300, first=stored), state_event(stored + 300, entity_id="climate.a")])
                stored += 301
                replica.notify()
                await asyncio.sleep(random.uniform(0, 0.1))
            await trouble(influx, random)
            await replica.resend(START_US, START_US + 500_000)
            await asyncio.sleep(random.uniform(0, 0.2))
    last = make_replica(store, settings)
    async with running(last):
        await caught_up(last, stored)
        await last.retry_dead_letters()

    poison = list(range(300, stored, 301))
    letters = await Follower(store, "replica-1").dead_letters(limit=1000)
    assert sorted(letter.event_id - 1 for letter in letters) == poison
    assert states(influx, settings) == [str(number) for number in range(stored) if number not in set(poison)]
