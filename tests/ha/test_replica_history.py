"""The service that queries events reads a replica too, alone or beneath the store, as if all were one history."""

import asyncio
from types import MappingProxyType
from typing import Any

from custom_components.homeiq.const import DOMAIN
from custom_components.homeiq.runtime import HomeIQConfigEntry, HomeIQData
from homeassistant.config_entries import ConfigSubentry
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
import pytest

from tests.ha.conftest import Flush
from tests.servers.face_process import FaceProcess

pytestmark = pytest.mark.server
BEGIN = 1_790_000_000.0
# What the layout does not carry.
LEFT_OUT = {"id", "device_id", "floor_id", "labels", "unit"}


async def _ask(hass: HomeAssistant, **data: Any) -> dict[str, Any]:
    answer = await hass.services.async_call(DOMAIN, "query_events", data, blocking=True, return_response=True)
    assert answer is not None
    return answer


async def _pages(hass: HomeAssistant, **data: Any) -> list[list[dict[str, Any]]]:
    found: list[list[dict[str, Any]]] = []
    cursor: str | None = None
    while not found or cursor is not None:
        answer = await _ask(hass, cursor=cursor, **data)
        found.append(answer["events"])
        cursor = answer["next_cursor"]
    return found


def _kept(event: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in event.items() if name not in LEFT_OUT}


def _connect(hass: HomeAssistant, entry: HomeIQConfigEntry, connection: dict[str, object]) -> None:
    subentry = ConfigSubentry(
        data=MappingProxyType(connection), subentry_type="influxdb", title=str(connection["bucket"]), unique_id=None
    )
    hass.config_entries.async_add_subentry(entry, subentry)


async def _until_caught_up(hass: HomeAssistant, homeiq: HomeIQData) -> None:
    await hass.async_block_till_done()
    async with asyncio.timeout(20):
        for replica in homeiq.replicas.values():
            while (await replica.fresh_stats()).lag_events or not replica.stats.last_success:
                await asyncio.sleep(0.01)


@pytest.fixture
async def past(
    hass: HomeAssistant,
    entry: HomeIQConfigEntry,
    homeiq: HomeIQData,
    flush: Flush,
    connection: dict[str, object],
) -> None:
    """Store and replicate ten changes of two entities each, a second apart."""
    for number in range(10):
        for name in ("sensor.a", "light.b"):
            attributes = {"unit_of_measurement": "W", "text": 'a "quotéd"\nline \\'}
            hass.states.async_set(name, str(number), attributes, timestamp=BEGIN + number)
    await flush()
    _connect(hass, entry, connection)
    await _until_caught_up(hass, homeiq)


@pytest.mark.usefixtures("past")
async def test_a_replica_answers_what_the_store_answers(hass: HomeAssistant) -> None:
    asked = {"end": "2026-09-21T14:13:30+00:00", "limit": 7}
    for choice in ({}, {"newest_first": True}, {"entity_id": "sensor.a"}, {"origins": ["device"], "kinds": ["state"]}):
        store = await _pages(hass, **asked, **choice)
        replica = await _pages(hass, source="replica", **asked, **choice)
        assert [[_kept(event) for event in page] for page in replica] != []
        assert [len(page) for page in replica] == [len(page) for page in store]
        by_time = sorted((_kept(event) for page in replica for event in page), key=str)
        assert by_time == sorted((_kept(event) for page in store for event in page), key=str)


@pytest.mark.usefixtures("past")
@pytest.mark.parametrize("newest_first", [False, True])
async def test_what_was_purged_is_found_again_in_the_replica(
    hass: HomeAssistant, homeiq: HomeIQData, newest_first: bool
) -> None:
    asked = {"end": "2026-09-21T14:13:30+00:00", "limit": 6, "newest_first": newest_first}
    before = [_kept(event) for page in await _pages(hass, **asked) for event in page]
    await homeiq.store.purge_before(round((BEGIN + 4) * 1_000_000))

    store = await _pages(hass, source="store", **asked)
    whole = await _pages(hass, source="all", **asked)

    assert (sum(map(len, store)), [len(page) for page in whole]) == (12, [6, 6, 6, 2])
    found = [_kept(event) for page in whole for event in page]
    assert sorted(found, key=str) == sorted(before, key=str)
    assert [event["time"] for event in found] == [event["time"] for event in before]


@pytest.mark.usefixtures("past")
async def test_while_the_server_is_away_only_what_needs_it_fails(
    hass: HomeAssistant, homeiq: HomeIQData, influx: FaceProcess
) -> None:
    await homeiq.store.purge_before(round((BEGIN + 4) * 1_000_000))
    influx.stop()
    try:
        newest = await _ask(hass, source="all", newest_first=True, limit=12, end="2026-09-21T14:13:30+00:00")
        assert len(newest["events"]) == 12
        for source in ("all", "replica"):
            with pytest.raises(HomeAssistantError) as caught:
                await _ask(hass, source=source)
            assert caught.value.translation_key == "replica_failed"
            assert influx.token not in str(caught.value.translation_placeholders)
    finally:
        influx.start()


@pytest.mark.parametrize("source", ["replica", "all"])
async def test_without_a_replica_that_gives_events_back_it_is_said(
    hass: HomeAssistant, entry: HomeIQConfigEntry, homeiq: HomeIQData, connection: dict[str, object], source: str
) -> None:
    for changes in ({"layout": "core"}, {"metrics_only": True}):
        _connect(hass, entry, {**connection, **changes})
    await hass.async_block_till_done()
    assert len(homeiq.replicas) == 2

    with pytest.raises(ServiceValidationError) as caught:
        await _ask(hass, source=source)

    assert caught.value.translation_key == "no_replica_to_read"
    assert (await _ask(hass))["next_cursor"] is None


@pytest.mark.usefixtures("past")
@pytest.mark.parametrize(
    ("asked", "field", "value"),
    [
        ({"source": "bucket"}, "source", "bucket"),
        ({"source": 7}, "source", "7"),
        ({"source": ["all"]}, "source", "['all']"),
        ({"source": "replica", "cursor": "1790000000000000-7"}, "cursor", "1790000000000000-7"),
        ({"source": "all", "cursor": "1790000000000000-7"}, "cursor", "1790000000000000-7"),
    ],
)
async def test_what_does_not_fit_is_named(hass: HomeAssistant, asked: dict[str, Any], field: str, value: str) -> None:
    with pytest.raises(ServiceValidationError) as caught:
        await _ask(hass, **asked)

    assert caught.value.translation_key == "invalid_value"
    assert caught.value.translation_placeholders == {"field": field, "value": value}
