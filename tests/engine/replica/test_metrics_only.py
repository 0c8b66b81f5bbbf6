"""A real VictoriaMetrics is given numbers only, and is never taken for a second copy of the store."""

from dataclasses import replace
import json
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest

from homeiq_engine.replica import InfluxSettings, Layout, check_connection
from homeiq_engine.store import Store
from tests.servers.debian_servers import VictoriaMetrics

from .driving import caught_up, make_replica, running
from .samples import START_US, state_event, state_events

pytestmark = pytest.mark.server


@pytest.fixture
def metrics(victoria: VictoriaMetrics) -> InfluxSettings:
    """Return a connection to a VictoriaMetrics."""
    return InfluxSettings(url=victoria.url, org="any", bucket="any", token="s3cret", metrics_only=True)


def _series(server: VictoriaMetrics, selector: str) -> list[tuple[dict[str, str], list[float], list[int]]]:
    """Return labels, values and times (ms) of what is stored."""
    with urlopen(f"{server.url}/internal/force_flush", timeout=10):  # noqa: S310
        pass
    query = urlencode({"match[]": selector, "start": START_US // 1_000_000 - 60})
    with urlopen(f"{server.url}/api/v1/export?{query}", timeout=10) as answer:  # noqa: S310
        read = [json.loads(line) for line in answer.read().decode().splitlines()]
    return [(one["metric"], one["values"], one["timestamps"]) for one in read]


async def test_numbers_arrive_and_texts_are_left_out(
    victoria: VictoriaMetrics, metrics: InfluxSettings, store: Store
) -> None:
    """Every value is there once with its millisecond; no text has become a 0; the cursor passes all."""
    await check_connection(metrics)
    texts = [state_event(row, state="idle text") for row in range(300, 400)]
    await store.append([*state_events(300), *texts])
    replica = make_replica(store, metrics)
    async with running(replica):
        await caught_up(replica, 400)

    found = _series(victoria, '{__name__=~"sensor_.*"}')
    points = sorted((time, value) for _, values, times in found for value, time in zip(values, times, strict=True))
    assert points == [(START_US // 1000 + row, row) for row in range(300)]
    assert {labels["__name__"] for labels, _, _ in found} == {"sensor_value"}
    assert replica.stats.sent == 300
    assert replica.acknowledges is False


async def test_layout_core_gives_values_under_their_unit(
    victoria: VictoriaMetrics, metrics: InfluxSettings, store: Store
) -> None:
    """The measurement is the unit, the labels are domain and entity id."""
    await store.append([replace(state_event(3), payload='{"unit_of_measurement":"W"}')])
    replica = make_replica(store, replace(metrics, layout=Layout.CORE, home=""))
    async with running(replica):
        await caught_up(replica, 1)

    ((labels, values, _),) = _series(victoria, '{__name__="W_value"}')
    assert (labels["domain"], labels["entity_id"], values) == ("sensor", "kitchen", [3])


async def test_a_purged_entity_is_gone(victoria: VictoriaMetrics, metrics: InfluxSettings, store: Store) -> None:
    """VictoriaMetrics has a delete of its own."""
    await store.append(state_events(20))
    replica = make_replica(store, metrics)
    async with running(replica):
        await caught_up(replica, 20)
        _series(victoria, '{__name__="sensor_value"}')
        await replica.purge_entity("sensor.room_3")

    left = {labels["entity_id"] for labels, _, _ in _series(victoria, '{__name__="sensor_value"}')}
    assert left == {f"sensor.room_{number}" for number in range(10) if number != 3}


async def test_verification_reads_are_not_asked_of_it(metrics: InfluxSettings, store: Store) -> None:
    """What it keeps is not what was sent, so there is nothing to compare."""
    await store.append(state_events(5))
    await check_connection(replace(metrics, verify_reads=True))
    replica = make_replica(store, replace(metrics, verify_reads=True))
    async with running(replica):
        await caught_up(replica, 5)

    assert (replica.stats.unverified, replica.stats.last_error) == (0, None)
