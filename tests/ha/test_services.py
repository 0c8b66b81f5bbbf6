"""The services answer what was asked, refuse what does not fit in words that can be translated, and half-do nothing."""

import asyncio
from contextlib import closing
import json
from pathlib import Path
import sqlite3
from typing import Any
from unittest.mock import patch

from custom_components.homeiq import runtime
from custom_components.homeiq.const import DOMAIN
from custom_components.homeiq.engine.model import QueryError
from custom_components.homeiq.engine.replica._errors import Reason
from custom_components.homeiq.engine.store import Store
from custom_components.homeiq.runtime import HomeIQConfigEntry, HomeIQData
from homeassistant.auth.models import User
from homeassistant.core import Context, HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError, Unauthorized
from homeassistant.setup import async_setup_component
import pytest
from syrupy.assertion import SnapshotAssertion
from syrupy.filters import props

from tests.ha.conftest import Flush, Stored, store_path
from tests.ha.connecting import connect
from tests.servers.face_process import FaceProcess

TEXTS = json.loads(
    (Path(__file__).parents[2] / "custom_components/homeiq/translations/en.json").read_text(encoding="utf-8")
)["exceptions"]
BEGIN = 1_790_000_000.0
CALL_ANSWERING = ("query_events", "stats", "generate_suggestions", "validate_automation")


async def _ask(hass: HomeAssistant, service: str, context: Context | None = None, **data: Any) -> dict[str, Any]:
    answer = await hass.services.async_call(DOMAIN, service, data, blocking=True, return_response=True, context=context)
    assert answer is not None
    json.dumps(answer)
    return answer


@pytest.fixture
async def past(hass: HomeAssistant, flush: Flush) -> None:
    """Store ten changes of two entities each, a second apart."""
    for number in range(10):
        for name in ("sensor.a", "sensor.b"):
            hass.states.async_set(name, str(number), {"unit_of_measurement": "W"}, timestamp=BEGIN + number)
    await flush()


@pytest.mark.usefixtures("past")
async def test_events_are_returned_in_full(hass: HomeAssistant, snapshot: SnapshotAssertion) -> None:
    answer = await _ask(hass, "query_events", entity_id="sensor.a", limit=2)
    assert answer == snapshot(exclude=props("context_id", "next_cursor"))


@pytest.mark.usefixtures("past")
async def test_events_can_be_chosen_by_entity_time_kind_and_origin(hass: HomeAssistant) -> None:
    async def states(**asked: Any) -> list[str]:
        return [event["state"] for event in (await _ask(hass, "query_events", **asked))["events"]]

    assert await states(entity_id=["sensor.a"], start="2026-09-21T14:13:22+00:00") == [str(n) for n in range(2, 10)]
    assert await states(entity_id="sensor.a", end="2026-09-21T14:13:22+00:00") == ["0", "1"]
    assert await states(entity_id="sensor.a", start="2026-09-21 07:13:21", end="2026-09-21 07:13:23") == ["1", "2"]
    assert await states(entity_id="sensor.a", newest_first=True, limit=1) == ["9"]
    assert len(await states(entity_id="sensor.a, sensor.b")) == 20
    assert len(await states(kinds="state", origins=["device"])) == 18
    assert await states(kinds=["call", "automation"], origins=["user"]) == []
    assert await states(entity_id="sensor.nobody") == []


@pytest.mark.usefixtures("past")
@pytest.mark.parametrize("newest_first", [True, False])
async def test_pages_hold_every_event_once_also_while_new_ones_come(hass: HomeAssistant, newest_first: bool) -> None:
    seen: list[tuple[str, str]] = []
    cursor: str | None = None
    for page in range(7):
        asked: dict[str, Any] = {"limit": 3, "newest_first": newest_first, "end": "2026-09-21T14:13:30+00:00"}
        answer = await _ask(hass, "query_events", **asked, cursor=cursor)
        seen += [(event["entity_id"], event["state"]) for event in answer["events"]]
        cursor = answer["next_cursor"]
        hass.states.async_set("sensor.a", f"new {page}")
    assert cursor is None
    assert len(seen) == 20
    assert set(seen) == {(name, str(n)) for name in ("sensor.a", "sensor.b") for n in range(10)}


@pytest.mark.usefixtures("past")
async def test_what_waits_in_memory_is_found_too(hass: HomeAssistant) -> None:
    hass.states.async_set("sensor.fresh", "1")
    assert len((await _ask(hass, "query_events", entity_id="sensor.fresh"))["events"]) == 1


@pytest.mark.usefixtures("past")
async def test_statistics_are_exact(hass: HomeAssistant, snapshot: SnapshotAssertion) -> None:
    assert await _ask(hass, "stats") == snapshot(exclude=props("store_bytes", "write_p95_ms"))


async def test_statistics_of_what_waits_are_given_while_the_store_cannot_be_read(
    hass: HomeAssistant, homeiq: HomeIQData, flush: Flush
) -> None:
    hass.states.async_set("sensor.a", "1")
    await flush()
    await homeiq.store._drop_writer()

    def block() -> None:
        homeiq.store.path.unlink()
        homeiq.store.path.mkdir()

    await hass.async_add_executor_job(block)
    hass.states.async_set("sensor.a", "2")
    told = await _ask(hass, "stats")
    assert (told["failing"], told["buffer_depth"], told["lost"]) == ("cannot_open", 1, 0)
    assert (told["stored"], told["held"], told["store_bytes"], told["oldest"]) == (None, None, None, None)
    await hass.async_add_executor_job(homeiq.store.path.rmdir)
    assert (await _ask(hass, "flush"))["stored"] == 1
    assert (await _ask(hass, "stats"))["failing"] is None


async def test_flushing_tells_what_it_stored(hass: HomeAssistant, entry: HomeIQConfigEntry) -> None:
    hass.states.async_set("light.kitchen", "on")
    assert await _ask(hass, "flush") == {"stored": 1, "buffer_depth": 0}
    assert await hass.services.async_call(DOMAIN, "flush", {}, blocking=True) is None


@pytest.mark.usefixtures("past")
async def test_purging_deletes_what_is_older(hass: HomeAssistant, homeiq: HomeIQData) -> None:
    hass.states.async_set("sensor.a", "now")
    assert await _ask(hass, "purge", keep_days=3650) == {"deleted": 0}
    assert await _ask(hass, "purge", keep_days=1) == {"deleted": 20}
    answer = await _ask(hass, "query_events")
    assert [event["state"] for event in answer["events"]] == ["now"]
    assert await _ask(hass, "purge", keep_days=0) == {"deleted": 1}
    stats = await _ask(hass, "stats")
    assert (stats["stored"], stats["held"], stats["oldest"]) == (21, 0, None)


async def test_purging_an_entity_leaves_no_trace_of_it_anywhere(
    hass: HomeAssistant, homeiq: HomeIQData, flush: Flush
) -> None:
    """Not in its events, others' payloads, the actors, the files, the sensors, nor by what waits in memory."""
    for number in range(5):
        hass.states.async_set("person.secret_name", str(number))
    hass.bus.async_fire("automation_triggered", {"entity_id": "automation.x", "source": "state of person.secret_name"})
    await flush()
    await homeiq.coordinator.async_recount()
    assert hass.states.get("sensor.homeiq_noisiest_entity").state == "person.secret_name"  # type: ignore[union-attr]
    hass.states.async_set("person.secret_name", "waits")
    hass.states.async_set("light.kitchen", "on")

    assert await _ask(hass, "purge_entity", entity_id="person.secret_name") == {"events": 6, "payloads": 1}

    await hass.async_block_till_done()
    assert hass.states.get("sensor.homeiq_noisiest_entity").state != "person.secret_name"  # type: ignore[union-attr]
    held = b"".join(file.read_bytes() for file in store_path(hass).parent.iterdir())
    assert b"secret_name" not in held
    assert b"light.kitchen" in held


async def test_purging_an_entity_reaches_the_replicas_and_tells_if_one_could_not_be_reached(
    hass: HomeAssistant, entry: HomeIQConfigEntry, homeiq: HomeIQData, influx: FaceProcess, connection: dict[str, Any]
) -> None:
    """A server that is away does not keep the others from forgetting."""
    await connect(hass, entry, connection)
    influx.create_bucket(f"{connection['bucket']}-2")
    await connect(hass, entry, {**connection, "bucket": f"{connection['bucket']}-2"})
    hass.states.async_set("light.kitchen", "on")
    hass.states.async_set("light.hall", "on")
    await _ask(hass, "flush")
    for replica in homeiq.replicas.values():
        replica.notify()
        while (await replica.fresh_stats()).lag_events:
            await asyncio.sleep(0.02)
    broken, _ = homeiq.replicas.values()
    away = broken._settings.error(Reason.CANNOT_CONNECT, "away")
    with patch.object(broken._delivery, "delete", side_effect=away), pytest.raises(HomeAssistantError) as refused:
        await _ask(hass, "purge_entity", entity_id="light.kitchen")
    assert refused.value.translation_key == "replica_failed"
    assert {point.get("entity_id") for point in influx.points(f"{connection['bucket']}-2")} >= {"light.hall"}
    for bucket, expected in ((connection["bucket"], True), (f"{connection['bucket']}-2", False)):
        held = {point.get("entity_id") for point in influx.points(bucket)}
        assert ("light.kitchen" in held) is expected
    assert await _ask(hass, "purge_entity", entity_id="light.kitchen") == {"events": 0, "payloads": 0}
    assert "light.kitchen" not in {point.get("entity_id") for point in influx.points(connection["bucket"])}


async def test_statistics_tell_of_the_replicas(
    hass: HomeAssistant, entry: HomeIQConfigEntry, connection: dict[str, Any]
) -> None:
    await connect(hass, entry, connection)
    hass.states.async_set("light.kitchen", "on")
    await _ask(hass, "flush")
    (replica,) = entry.runtime_data.replicas.values()
    while (await replica.fresh_stats()).lag_events:
        replica.notify()
        await asyncio.sleep(0.02)
    (told,) = (await _ask(hass, "stats"))["replicas"].values()
    assert told["title"] == f"InfluxDB {connection['bucket']}"
    assert (told["cursor"], told["lag_events"], told["sent"], told["last_error"]) == (1, 0, 1, None)
    assert connection["token"] not in str(told)


BAD: list[tuple[str, dict[str, Any], str, str, str]] = [
    ("query_events", {"entity_id": "kitchen"}, "invalid_value", "entity_id", "kitchen"),
    ("query_events", {"entity_id": ["light.a", 7]}, "invalid_value", "entity_id", "7"),
    ("query_events", {"entity_id": []}, "invalid_value", "entity_id", "[]"),
    ("query_events", {"entity_id": {"a": 1}}, "invalid_value", "entity_id", "{'a': 1}"),
    ("query_events", {"entity_id": ""}, "invalid_value", "entity_id", ""),
    ("query_events", {"start": "yesterday"}, "invalid_value", "start", "yesterday"),
    ("query_events", {"start": "2026-02-30 10:00:00"}, "invalid_value", "start", "2026-02-30 10:00:00"),
    ("query_events", {"start": "2026-01-02", "end": "2026-01-02"}, "invalid_value", "end", "2026-01-02"),
    ("query_events", {"kinds": ["state", "nonsense"]}, "invalid_value", "kinds", "nonsense"),
    ("query_events", {"origins": "nobody"}, "invalid_value", "origins", "nobody"),
    ("query_events", {"limit": 0}, "out_of_range", "limit", "0"),
    ("query_events", {"limit": 10_001}, "out_of_range", "limit", "10001"),
    ("query_events", {"limit": 1.5}, "out_of_range", "limit", "1.5"),
    ("query_events", {"limit": True}, "invalid_value", "limit", "True"),
    ("query_events", {"limit": "many"}, "invalid_value", "limit", "many"),
    ("query_events", {"limit": float("nan")}, "invalid_value", "limit", "nan"),
    ("query_events", {"limit": [1]}, "invalid_value", "limit", "[1]"),
    ("query_events", {"limit": "1" * 400}, "out_of_range", "limit", "1" * 100),
    ("query_events", {"newest_first": "perhaps"}, "invalid_value", "newest_first", "perhaps"),
    ("query_events", {"cursor": 7}, "invalid_value", "cursor", "7"),
    ("query_events", {"cursor": "nonsense"}, "invalid_value", "cursor", "nonsense"),
    ("query_events", {"cursor": f"{2**70}-1"}, "invalid_value", "cursor", f"{2**70}-1"),
    ("query_events", {"curser": "x"}, "unknown_field", "curser", "x"),
    ("stats", {"days": 1}, "unknown_field", "days", "1"),
    ("flush", {"days": 1}, "unknown_field", "days", "1"),
    ("purge", {"keep_days": -1}, "out_of_range", "keep_days", "-1"),
    ("purge", {"keep_days": 3_651}, "out_of_range", "keep_days", "3651"),
    ("purge", {"keep_days": None}, "missing_field", "keep_days", ""),
    ("purge", {}, "missing_field", "keep_days", ""),
    ("purge_entity", {}, "missing_field", "entity_id", ""),
    ("purge_entity", {"entity_id": "kitchen"}, "invalid_value", "entity_id", "kitchen"),
    ("purge_entity", {"entity_id": ["a.b", "a.c"]}, "invalid_value", "entity_id", "['a.b', 'a.c']"),
    ("generate_suggestions", {"days": 0}, "out_of_range", "days", "0"),
    ("generate_suggestions", {"days": 366}, "out_of_range", "days", "366"),
    ("generate_suggestions", {"limit": 101}, "out_of_range", "limit", "101"),
    ("generate_suggestions", {"entity_id": "x"}, "invalid_value", "entity_id", "x"),
    ("validate_automation", {}, "missing_field", "text", ""),
    ("validate_automation", {"text": "  "}, "invalid_value", "text", "  "),
    ("validate_automation", {"text": {"a": 1}}, "invalid_value", "text", "{'a': 1}"),
    ("validate_automation", {"text": "x" * 1_000_001}, "too_long", "text", "1000001"),
]


@pytest.mark.usefixtures("past")
@pytest.mark.parametrize(("service", "data", "key", "field", "value"), BAD)
async def test_bad_input_is_refused_by_field_and_value_and_nothing_is_done(
    hass: HomeAssistant, homeiq: HomeIQData, service: str, data: dict[str, Any], key: str, field: str, value: str
) -> None:
    """The text has a translation whose placeholders are all given."""
    before = await homeiq.store.stats()
    with pytest.raises(ServiceValidationError) as refused:
        await hass.services.async_call(DOMAIN, service, data, blocking=True, return_response=service in CALL_ANSWERING)
    assert (refused.value.translation_domain, refused.value.translation_key) == (DOMAIN, key)
    placeholders = refused.value.translation_placeholders or {}
    assert placeholders["field"] == field
    assert placeholders.get("value", "") == value
    message = TEXTS[key]["message"].format(**placeholders)
    assert field in message
    assert (await homeiq.store.stats()).counters == before.counters


async def test_data_that_is_no_mapping_is_refused(hass: HomeAssistant, entry: HomeIQConfigEntry) -> None:
    schema = hass.services.async_services()[DOMAIN]["flush"].schema
    assert schema is not None
    with pytest.raises(ServiceValidationError) as refused:
        schema(["no", "mapping"])
    assert refused.value.translation_placeholders == {"field": "data", "value": "['no', 'mapping']"}


ALL: list[tuple[str, dict[str, Any]]] = [
    ("query_events", {}),
    ("stats", {}),
    ("flush", {}),
    ("purge", {"keep_days": 1}),
    ("purge_entity", {"entity_id": "light.kitchen"}),
    ("generate_suggestions", {}),
    ("validate_automation", {"text": "alias: x"}),
]


@pytest.mark.usefixtures("entry")
@pytest.mark.parametrize(("service", "data"), ALL)
async def test_only_an_administrator_may_call(
    hass: HomeAssistant, hass_read_only_user: User, service: str, data: dict[str, Any]
) -> None:
    with pytest.raises(Unauthorized):
        await _ask(hass, service, Context(user_id=hass_read_only_user.id), **data)


@pytest.mark.parametrize(("service", "data"), ALL)
async def test_while_nothing_is_loaded_every_service_says_so(
    hass: HomeAssistant, entry: HomeIQConfigEntry, service: str, data: dict[str, Any]
) -> None:
    await hass.config_entries.async_unload(entry.entry_id)
    with pytest.raises(ServiceValidationError) as refused:
        await _ask(hass, service, **data)
    assert refused.value.translation_key == "not_loaded"


@pytest.mark.parametrize(("service", "data"), [each for each in ALL if each[0] not in ("validate_automation", "stats")])
async def test_while_the_store_cannot_be_used_every_service_that_needs_it_says_so(
    hass: HomeAssistant,
    entry: HomeIQConfigEntry,
    homeiq: HomeIQData,
    service: str,
    data: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The error is Home Assistant's, with the store's reason."""
    monkeypatch.setattr(runtime, "_UNLOAD_S", 0.0)
    hass.states.async_set("light.kitchen", "on")
    await homeiq.store.close()
    with pytest.raises(HomeAssistantError) as failed:
        await _ask(hass, service, **data)
    assert failed.value.translation_key == "store_failed"
    message = TEXTS["store_failed"]["message"].format(**(failed.value.translation_placeholders or {}))
    assert "closed" in message


DRAFT = """
alias: Hall light at night
triggers:
  - trigger: state
    entity_id: input_boolean.trigger
    to: "on"
actions:
  - action: input_boolean.turn_on
    target:
      entity_id: input_boolean.lamp
"""


async def test_an_automation_can_use_the_answers(hass: HomeAssistant, entry: HomeIQConfigEntry, flush: Flush) -> None:
    """generate_suggestions, validate_automation, query_events and stats, each by response_variable."""
    answers: dict[str, Any] = {}
    hass.bus.async_listen("answers", lambda event: answers.update(event.data))
    steps = [
        {"action": "homeiq.generate_suggestions", "data": {"days": 30}, "response_variable": "suggested"},
        {"action": "homeiq.validate_automation", "data": {"text": DRAFT}, "response_variable": "judged"},
        {"action": "homeiq.query_events", "data": {"kinds": ["automation"]}, "response_variable": "found"},
        {"action": "homeiq.stats", "response_variable": "stats"},
    ]
    names = ("suggested", "judged", "found", "stats")
    told = {"event": "answers", "event_data": {name: f"{{{{ {name} }}}}" for name in names}}
    automation = {"triggers": [{"trigger": "event", "event_type": "go"}], "actions": [*steps, told]}
    assert await async_setup_component(hass, "input_boolean", {"input_boolean": {"trigger": {}, "lamp": {}}})
    assert await async_setup_component(
        hass, "automation", {"automation": [{"alias": "Ask", "id": "ask", **automation}]}
    )
    await hass.async_block_till_done()
    hass.bus.async_fire("go")
    await hass.async_block_till_done()
    assert set(answers) == {"suggested", "judged", "found", "stats"}
    assert set(answers["suggested"]) == {"suggestions", "rejected", "days_observed", "events_read"}
    assert answers["judged"]["level"] == "pass"
    assert answers["judged"]["findings"] == []
    assert answers["judged"]["automation"]["alias"] == "Hall light at night"
    assert [event["entity_id"] for event in answers["found"]["events"]] == ["automation.ask"]
    assert answers["stats"]["lost"] == 0


@pytest.mark.parametrize(
    "text",
    [
        "alias: x\ntriggers: []\nactions: [}",
        DRAFT.replace("input_boolean.lamp", "input_boolean.nobody"),
        "a: &a [x, x, x, x]\nb: [*a, *a]\n",
        'triggers: []\nactions:\n  - variables:\n      x: "{{ 2 ** (10 ** 9) }}"',
    ],
    ids=["broken", "unknown entity", "anchors", "bomb"],
)
async def test_what_is_wrong_with_an_automation_is_told(
    hass: HomeAssistant, entry: HomeIQConfigEntry, text: str
) -> None:
    await async_setup_component(hass, "input_boolean", {"input_boolean": {"trigger": {}, "lamp": {}}})
    await async_setup_component(hass, "automation", {})
    answer = await _ask(hass, "validate_automation", text=text)
    assert answer["level"] == "blocked"
    assert answer["findings"]
    assert all(finding["message"] and finding["code"] for finding in answer["findings"])


async def test_events_can_be_read_while_somebody_else_writes(
    hass: HomeAssistant, entry: HomeIQConfigEntry, homeiq: HomeIQData
) -> None:
    hass.states.async_set("light.kitchen", "on")
    await homeiq.pipeline.flush()
    with closing(sqlite3.connect(store_path(hass), isolation_level=None, timeout=0)) as blocker:
        blocker.execute("BEGIN IMMEDIATE")
        assert len((await _ask(hass, "query_events"))["events"]) == 1
        blocker.execute("ROLLBACK")


async def test_ten_thousand_events_are_answered(hass: HomeAssistant, homeiq: HomeIQData) -> None:
    for number in range(10_000):
        hass.states.async_set("sensor.many", str(number))
    answer = await _ask(hass, "query_events", limit=10_000, entity_id="sensor.many")
    assert [event["state"] for event in answer["events"]] == [str(number) for number in range(10_000)]
    assert answer["next_cursor"] is None


async def test_a_query_that_the_store_refuses_is_bad_input(
    hass: HomeAssistant, entry: HomeIQConfigEntry, stored: Stored
) -> None:
    refusal = QueryError("no", field="cursor", value="x")
    with patch.object(Store, "query", side_effect=refusal), pytest.raises(ServiceValidationError) as refused:
        await _ask(hass, "query_events")
    assert refused.value.translation_placeholders == {"field": "cursor", "value": "x"}
