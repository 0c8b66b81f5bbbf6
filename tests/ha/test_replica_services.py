"""The services for replicas do what they say and refuse what does not fit, naming field and value."""

import asyncio
import json
from pathlib import Path
from typing import Any

from custom_components.homeiq.const import DOMAIN
from custom_components.homeiq.engine.replica import Replica
from custom_components.homeiq.runtime import HomeIQConfigEntry, HomeIQData
from homeassistant.config_entries import ConfigSubentry
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
import pytest
from syrupy.assertion import SnapshotAssertion
from syrupy.filters import props

from tests.ha.conftest import Stored
from tests.ha.connecting import caught_up, connect, until
from tests.servers.face_process import FaceProcess

TEXTS = json.loads(
    (Path(__file__).parents[2] / "custom_components/homeiq/translations/en.json").read_text(encoding="utf-8")
)["exceptions"]
SERVICES = (
    "pause_replica",
    "resume_replica",
    "resend",
    "list_dead_letters",
    "retry_dead_letters",
    "purge_dead_letters",
)
BEGIN = 1_790_000_000.0


async def _ask(hass: HomeAssistant, service: str, **data: Any) -> dict[str, Any]:
    answer = await hass.services.async_call(DOMAIN, service, data, blocking=True, return_response=True)
    assert answer is not None
    json.dumps(answer)
    return answer


def _sent(influx: FaceProcess, connection: dict[str, Any]) -> set[object]:
    return {point.get("entity_id") for point in influx.points(connection["bucket"])}


@pytest.fixture
async def subentry(hass: HomeAssistant, entry: HomeIQConfigEntry, connection: dict[str, Any]) -> ConfigSubentry:
    """Return a connection."""
    return await connect(hass, entry, connection)


@pytest.fixture
async def refusing(
    hass: HomeAssistant,
    entry: HomeIQConfigEntry,
    homeiq: HomeIQData,
    influx: FaceProcess,
    connection: dict[str, Any],
    stored: Stored,
) -> ConfigSubentry:
    """Return a connection whose server refuses three events: the field has another type there."""
    influx._open(
        f"{influx.influxql_url}/write?db={connection['bucket']}", f"light state=1 {round(BEGIN) * 10**9 + 1}".encode()
    )
    subentry = await connect(hass, entry, connection)
    for number in range(3):
        hass.states.async_set("light.refused", str(number), timestamp=BEGIN + number)
    await stored()
    await caught_up(homeiq)
    return subentry


async def test_a_paused_replica_rests_over_a_reload_until_it_is_resumed(
    hass: HomeAssistant,
    entry: HomeIQConfigEntry,
    influx: FaceProcess,
    connection: dict[str, Any],
    subentry: ConfigSubentry,
    stored: Stored,
) -> None:
    """Events wait meanwhile; pausing twice is pausing once."""
    for _ in range(2):
        assert await _ask(hass, "pause_replica", replica=subentry.title) == {"paused": True}
    await hass.async_block_till_done()
    await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done()
    homeiq = entry.runtime_data
    hass.states.async_set("light.waiting", "on")
    await stored()
    replica = homeiq.replicas[subentry.subentry_id]
    replica.notify()
    # Longer than a running replica takes for a batch.
    await asyncio.sleep(0.3)
    stats = await replica.fresh_stats()
    assert stats.state == "paused"
    assert stats.lag_events >= 1
    assert "light.waiting" not in _sent(influx, connection)
    assert await _ask(hass, "resume_replica", replica=subentry.subentry_id) == {"paused": False}
    await hass.async_block_till_done()
    assert "paused" not in entry.subentries[subentry.subentry_id].data
    await caught_up(homeiq)
    assert homeiq.replicas[subentry.subentry_id] is replica
    assert "light.waiting" in _sent(influx, connection)


async def test_pausing_shows_at_once(hass: HomeAssistant, homeiq: HomeIQData, subentry: ConfigSubentry) -> None:
    await _ask(hass, "pause_replica")
    assert homeiq.replicas.coordinator.data[subentry.subentry_id].state == "paused"
    await _ask(hass, "resume_replica")
    await until(hass, lambda: homeiq.replicas.coordinator.data[subentry.subentry_id].state == "following")


async def test_a_time_range_is_sent_again_and_nothing_is_there_twice(
    hass: HomeAssistant,
    homeiq: HomeIQData,
    influx: FaceProcess,
    connection: dict[str, Any],
    subentry: ConfigSubentry,
    stored: Stored,
) -> None:
    for number in range(5):
        hass.states.async_set("sensor.power", str(number), timestamp=BEGIN + number)
    await stored()
    await caught_up(homeiq)
    influx.influxql("DROP MEASUREMENT sensor", connection["bucket"])
    told = await _ask(hass, "resend", start="2026-09-21T14:13:21+00:00", end="2026-09-21T14:13:24+00:00")
    assert told == {"events": 3}

    def values() -> list[object]:
        rows = influx.influxql("SELECT value FROM sensor", connection["bucket"])
        return [row["value"] for row in rows]

    await until(hass, lambda: values() == [1.0, 2.0, 3.0])
    assert await _ask(hass, "resend", start="2026-09-21T14:13:20+00:00") != {"events": 0}
    await until(hass, lambda: values() == [0.0, 1.0, 2.0, 3.0, 4.0])


async def test_a_range_without_events_sends_nothing(hass: HomeAssistant, subentry: ConfigSubentry) -> None:
    told = await _ask(hass, "resend", start="2001-01-01 00:00:00", end="2001-01-02 00:00:00")
    assert told == {"events": 0}


async def test_dead_letters_are_listed_page_by_page_with_the_servers_words(
    hass: HomeAssistant, refusing: ConfigSubentry, snapshot: SnapshotAssertion
) -> None:
    first = await _ask(hass, "list_dead_letters", replica=refusing.title, limit=2)
    assert first["held"] == 3
    assert [letter["entity_id"] for letter in first["dead_letters"]] == ["light.refused"] * 2
    rest = await _ask(hass, "list_dead_letters", replica=refusing.title, limit=2, after=first["next"])
    assert len(rest["dead_letters"]) == 1
    assert rest["next"] is None
    assert rest == snapshot(exclude=props("id", "event_id", "noted", "line"))
    assert rest["dead_letters"][0]["line"].startswith("light,entity_id=light.refused")


async def test_dead_letters_are_delivered_once_the_server_takes_them(
    hass: HomeAssistant,
    homeiq: HomeIQData,
    influx: FaceProcess,
    connection: dict[str, Any],
    refusing: ConfigSubentry,
) -> None:
    assert await _ask(hass, "retry_dead_letters") == {"delivered": 0, "refused": 3}
    influx.influxql("DROP MEASUREMENT light", connection["bucket"])
    assert await _ask(hass, "retry_dead_letters") == {"delivered": 3, "refused": 0}
    assert "light.refused" in _sent(influx, connection)
    assert homeiq.replicas.coordinator.data[refusing.subentry_id].dead_letters == 0
    assert (await _ask(hass, "list_dead_letters"))["dead_letters"] == []


async def test_a_server_that_cannot_be_used_is_told_and_no_letter_is_lost(
    hass: HomeAssistant, influx: FaceProcess, connection: dict[str, Any], refusing: ConfigSubentry
) -> None:
    influx.fail_writes(503, body='{"message": "not today"}')
    with pytest.raises(HomeAssistantError) as failed:
        await _ask(hass, "retry_dead_letters")
    assert failed.value.translation_key == "replica_failed"
    assert "not today" in str(failed.value.translation_placeholders)
    assert connection["token"] not in str(failed.value.translation_placeholders)
    assert (await _ask(hass, "list_dead_letters"))["held"] == 3


@pytest.mark.parametrize("form", [list, lambda ids: ",".join(str(each) for each in ids)])
async def test_some_or_all_dead_letters_are_purged_and_their_events_stay(
    hass: HomeAssistant, refusing: ConfigSubentry, stored: Stored, form: Any
) -> None:
    letters = (await _ask(hass, "list_dead_letters"))["dead_letters"]
    assert await _ask(hass, "purge_dead_letters", ids=form([letters[0]["id"], letters[2]["id"]])) == {"deleted": 2}
    held = (await _ask(hass, "list_dead_letters"))["dead_letters"]
    assert [letter["id"] for letter in held] == [letters[1]["id"]]
    assert await _ask(hass, "purge_dead_letters") == {"deleted": 1}
    assert len(await stored("light.refused")) == 3


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize(
    ("value", "key"),
    [("nobody", "no_such_replica"), (7, "invalid_value"), ("  ", "invalid_value"), ("x" * 1_001, "too_long")],
)
async def test_a_replica_that_is_not_there_is_named_in_the_error(
    hass: HomeAssistant, subentry: ConfigSubentry, service: str, value: object, key: str
) -> None:
    start = {"start": "2026-01-01 00:00:00"} if service == "resend" else {}
    with pytest.raises(ServiceValidationError) as refused:
        await _ask(hass, service, replica=value, **start)
    assert refused.value.translation_key == key
    placeholders = refused.value.translation_placeholders
    assert placeholders is not None
    assert placeholders["field"] == "replica"
    assert placeholders["value"] == {"too_long": "1001"}.get(key, str(value))
    TEXTS[key]["message"].format(**placeholders)


FUTURE = "2199-01-01T00:00:00+00:00"
BAD = [
    ("resend", {}, "missing_field", "start", None),
    ("resend", {"start": "yesterday"}, "invalid_value", "start", "yesterday"),
    ("resend", {"start": FUTURE}, "invalid_value", "start", FUTURE),
    ("resend", {"start": "2026-02-30 00:00:00"}, "invalid_value", "start", "2026-02-30 00:00:00"),
    ("resend", {"start": "2026-01-02", "end": "2026-01-02"}, "invalid_value", "end", "2026-01-02"),
    ("resend", {"start": "2026-01-02", "till": "x"}, "unknown_field", "till", "x"),
    ("list_dead_letters", {"limit": 0}, "out_of_range", "limit", "0"),
    ("list_dead_letters", {"limit": 1_001}, "out_of_range", "limit", "1001"),
    ("list_dead_letters", {"after": -1}, "out_of_range", "after", "-1"),
    ("list_dead_letters", {"after": "first"}, "invalid_value", "after", "first"),
    ("purge_dead_letters", {"ids": []}, "invalid_value", "ids", "[]"),
    ("purge_dead_letters", {"ids": 7}, "invalid_value", "ids", "7"),
    ("purge_dead_letters", {"ids": ["one"]}, "invalid_value", "ids", "one"),
    ("purge_dead_letters", {"ids": [None]}, "invalid_value", "ids", ""),
    ("purge_dead_letters", {"ids": "1,,2"}, "invalid_value", "ids", ""),
    ("purge_dead_letters", {"ids": [0]}, "out_of_range", "ids", "0"),
]


@pytest.mark.parametrize(("service", "data", "key", "field", "value"), BAD)
async def test_bad_input_names_field_and_value_and_does_nothing(
    hass: HomeAssistant,
    refusing: ConfigSubentry,
    service: str,
    data: dict[str, Any],
    key: str,
    field: str,
    value: str | None,
) -> None:
    with pytest.raises(ServiceValidationError) as refused:
        await _ask(hass, service, **data)
    assert refused.value.translation_key == key
    placeholders = refused.value.translation_placeholders
    assert placeholders is not None
    assert (placeholders["field"], placeholders.get("value")) == (field, value)
    TEXTS[key]["message"].format(**placeholders)
    assert (await _ask(hass, "list_dead_letters"))["held"] == 3


async def test_one_of_several_replicas_must_be_named(
    hass: HomeAssistant,
    entry: HomeIQConfigEntry,
    influx: FaceProcess,
    connection: dict[str, Any],
    subentry: ConfigSubentry,
) -> None:
    """By its title where that is its own, else by its id."""
    influx.create_bucket(f"{connection['bucket']}-second")
    second = await connect(hass, entry, {**connection, "bucket": f"{connection['bucket']}-second"})
    with pytest.raises(ServiceValidationError) as refused:
        await _ask(hass, "pause_replica")
    assert refused.value.translation_key == "missing_field"
    assert await _ask(hass, "pause_replica", replica=second.title) == {"paused": True}
    assert "paused" not in entry.subentries[subentry.subentry_id].data
    hass.config_entries.async_update_subentry(entry, second, title=subentry.title)
    await hass.async_block_till_done()
    with pytest.raises(ServiceValidationError) as refused:
        await _ask(hass, "resume_replica", replica=subentry.title)
    assert refused.value.translation_key == "several_replicas"
    assert refused.value.translation_placeholders == {"field": "replica", "value": subentry.title}
    assert await _ask(hass, "resume_replica", replica=second.subentry_id) == {"paused": False}


@pytest.mark.parametrize("service", SERVICES)
async def test_without_a_replica_there_is_nothing_to_name(
    hass: HomeAssistant, entry: HomeIQConfigEntry, service: str
) -> None:
    start = {"start": "2026-01-01 00:00:00"} if service == "resend" else {}
    with pytest.raises(ServiceValidationError) as refused:
        await _ask(hass, service, **start)
    assert refused.value.translation_key == "missing_field"


async def test_a_service_waits_for_a_change_that_is_being_applied(
    hass: HomeAssistant, entry: HomeIQConfigEntry, homeiq: HomeIQData, subentry: ConfigSubentry
) -> None:
    """Between its old and its new self a replica is not gone."""
    before: Replica = homeiq.replicas[subentry.subentry_id]
    hass.config_entries.async_update_subentry(entry, subentry, data={**subentry.data, "home": "cottage"})
    assert await _ask(hass, "pause_replica", replica=subentry.title) == {"paused": True}
    assert homeiq.replicas[subentry.subentry_id] is not before


async def test_statistics_tell_of_every_replica(
    hass: HomeAssistant, homeiq: HomeIQData, refusing: ConfigSubentry
) -> None:
    told = (await _ask(hass, "stats"))["replicas"][refusing.subentry_id]
    assert (told["title"], told["state"], told["circuit"]) == (refusing.title, "following", "closed")
    assert (told["dead_letters"], told["lag_events"], told["lag_s"]) == (3, 0, 0.0)
    assert told["sent"] == 0
    assert told["bytes_sent"] > 0
