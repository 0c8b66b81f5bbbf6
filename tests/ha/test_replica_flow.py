"""The InfluxDB flow finds out what the server is, says precisely what is wrong, and tests before it keeps anything."""

from collections.abc import Mapping
import time
from typing import Any

from custom_components.homeiq.runtime import HomeIQConfigEntry, HomeIQData
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from tests.ha.conftest import Stored
from tests.ha.connecting import answer, begin, begin_again, caught_up, connect, fields_of, to_settings
from tests.servers.debian_servers import VictoriaMetrics
from tests.servers.face_process import FaceProcess

DAY_US = 86_400_000_000


def _suggested(step: Mapping[str, Any]) -> dict[str, Any]:
    schema = step["data_schema"]
    assert schema is not None
    return {key.schema: (key.description or {}).get("suggested_value") for key in schema.schema}


async def test_a_bucket_is_tested_added_and_followed_without_a_reload(
    hass: HomeAssistant,
    entry: HomeIQConfigEntry,
    homeiq: HomeIQData,
    influx: FaceProcess,
    connection: dict[str, Any],
    stored: Stored,
) -> None:
    hass.states.async_set("light.kitchen", "on")
    await stored()
    step = await begin(hass, entry)
    assert (step["type"], step["step_id"]) == (FlowResultType.FORM, "user")
    step = await answer(hass, step, fields_of("user", connection))
    assert (step["type"], step["step_id"]) == (FlowResultType.FORM, "bucket")
    assert step["description_placeholders"]["server"] == "InfluxDB 1"
    step = await answer(hass, step, fields_of("bucket", connection))
    assert (step["type"], step["step_id"], step["last_step"]) == (FlowResultType.FORM, "settings", True)
    done = await answer(hass, step, {})
    await hass.async_block_till_done()
    assert done["type"] is FlowResultType.CREATE_ENTRY
    (subentry,) = entry.subentries.values()
    assert subentry.title == f"InfluxDB {connection['bucket']}"
    begun_us = subentry.data["begun_us"]
    assert abs(begun_us - time.time_ns() // 1000) < 60_000_000
    assert dict(subentry.data) == {
        **connection,
        "ca_pem": "",
        "server": "influxdb_1",
        "layout": "lean",
        "home": "",
        "since_us": None,
        "begun_us": begun_us,
        "verify_reads": False,
    }
    assert entry.runtime_data is homeiq
    assert list(homeiq.replicas) == [subentry.subentry_id]
    await caught_up(homeiq)
    assert "light.kitchen" in {point.get("entity_id") for point in influx.points(connection["bucket"])}


@pytest.mark.parametrize(
    ("settings", "days"),
    [({"start": "now"}, 0), ({"start": "days", "start_days": 7}, 7), ({"start": "everything"}, None)],
)
async def test_the_start_point_is_kept_as_a_time(
    hass: HomeAssistant,
    entry: HomeIQConfigEntry,
    connection: dict[str, Any],
    settings: dict[str, Any],
    days: int | None,
) -> None:
    subentry = await connect(hass, entry, connection, settings)
    since = None if days is None else subentry.data["begun_us"] - days * DAY_US
    assert subentry.data["since_us"] == since


async def test_events_before_the_start_point_are_not_sent(
    hass: HomeAssistant,
    entry: HomeIQConfigEntry,
    homeiq: HomeIQData,
    influx: FaceProcess,
    connection: dict[str, Any],
    stored: Stored,
) -> None:
    hass.states.async_set("light.old", "on")
    await stored()
    await connect(hass, entry, connection, {"start": "now"})
    hass.states.async_set("light.new", "on")
    await stored()
    await caught_up(homeiq)
    sent = {point.get("entity_id") for point in influx.points(connection["bucket"])}
    assert "light.new" in sent
    assert "light.old" not in sent


async def test_layout_home_and_filter_are_applied(
    hass: HomeAssistant,
    entry: HomeIQConfigEntry,
    homeiq: HomeIQData,
    influx: FaceProcess,
    connection: dict[str, Any],
    stored: Stored,
) -> None:
    settings = {"layout": "core", "home": " cottage ", "include": {"domains": [" Sensor"]}}
    subentry = await connect(hass, entry, connection, settings)
    assert (subentry.data["layout"], subentry.data["home"]) == ("core", "cottage")
    assert subentry.data["include"] == {"domains": ["sensor"]}
    hass.states.async_set("sensor.power", "12", {"unit_of_measurement": "W"})
    hass.states.async_set("light.hall", "on")
    await stored()
    await caught_up(homeiq)
    points = [point for point in influx.points(connection["bucket"]) if point["measurement"] != "homeiq_check"]
    assert {point["measurement"] for point in points} == {"W"}
    assert {point["entity_id"] for point in points} == {"power"}


BAD_CONNECTIONS = [
    ("user", {"url": "http://127.0.0.1:9"}, "cannot_connect"),
    ("user", {"url": "ftp://127.0.0.1"}, "invalid_url"),
    ("user", {"url": "http://user:pass@127.0.0.1:8086"}, "invalid_url"),
    ("user", {"url": "nonsense"}, "invalid_url"),
    ("user", {"ca_pem": "-----BEGIN NOTHING-----"}, "invalid_ca"),
    ("user", {"token": "tökén"}, "invalid_auth"),
]


@pytest.mark.parametrize(("step_id", "change", "reason"), BAD_CONNECTIONS)
async def test_a_server_that_cannot_be_used_is_explained_and_can_be_corrected(
    hass: HomeAssistant,
    entry: HomeIQConfigEntry,
    connection: dict[str, Any],
    step_id: str,
    change: dict[str, str],
    reason: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    tried = {**connection, **change}
    wrong = await answer(hass, await begin(hass, entry), fields_of("user", tried))
    assert (wrong["type"], wrong["step_id"]) == (FlowResultType.FORM, step_id)
    assert wrong["errors"] == {"base": reason}
    assert {"url", "error", "bucket", "org"} <= set(wrong["description_placeholders"])
    assert wrong["description_placeholders"]["error"]
    assert tried["token"] not in str(wrong["description_placeholders"])
    assert "token" not in {name for name, value in _suggested(wrong).items() if value}
    assert entry.subentries == {}
    right = await answer(hass, wrong, fields_of("user", {**connection, "ca_pem": ""}))
    assert right["step_id"] == "bucket"
    assert tried["token"] not in caplog.text
    assert connection["token"] not in caplog.text


@pytest.mark.parametrize(
    ("token", "reason"), [("wrong-token-of-nobody", "invalid_auth"), ("a-token-that-may-read", "no_write_access")]
)
async def test_a_token_that_does_not_do_leads_back_to_where_it_is_entered(
    hass: HomeAssistant,
    entry: HomeIQConfigEntry,
    connection: dict[str, Any],
    token: str,
    reason: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The token is in no text of the form, in none of its values and in no log line."""
    step = await answer(hass, await begin(hass, entry), fields_of("user", {**connection, "token": token}))
    wrong = await answer(hass, step, fields_of("bucket", connection))
    assert (wrong["step_id"], wrong["errors"]) == ("user", {"base": reason})
    assert token not in str(wrong["description_placeholders"])
    assert _suggested(wrong)["url"] == connection["url"]
    assert _suggested(wrong)["token"] is None
    step = await answer(hass, wrong, fields_of("user", connection))
    assert _suggested(step) == {"org": connection["org"], "bucket": connection["bucket"]}
    step = await answer(hass, step, fields_of("bucket", connection))
    assert step["step_id"] == "settings"
    assert token not in caplog.text


async def test_a_token_that_is_left_empty_after_an_error_is_the_one_entered_before(
    hass: HomeAssistant, entry: HomeIQConfigEntry, connection: dict[str, Any]
) -> None:
    wrong = await answer(hass, await begin(hass, entry), {**fields_of("user", connection), "url": "http://127.0.0.1:9"})
    assert wrong["errors"] == {"base": "cannot_connect"}
    step = await answer(hass, wrong, {"url": connection["url"], "verify_ssl": True})
    step = await answer(hass, step, fields_of("bucket", connection))
    done = await answer(hass, step, {})
    assert done["data"]["token"] == connection["token"]


async def test_a_bucket_that_is_missing_can_be_created_with_a_retention(
    hass: HomeAssistant,
    entry: HomeIQConfigEntry,
    homeiq: HomeIQData,
    influx: FaceProcess,
    connection: dict[str, Any],
    stored: Stored,
) -> None:
    wanted = {**connection, "bucket": f"{connection['bucket']}-made"}
    step = await answer(hass, await begin(hass, entry), fields_of("user", wanted))
    step = await answer(hass, step, fields_of("bucket", wanted))
    assert (step["type"], step["step_id"]) == (FlowResultType.MENU, "bucket_missing")
    assert wanted["bucket"] in step["description_placeholders"]["error"]
    step = await answer(hass, step, {"next_step_id": "create_bucket"})
    assert (step["type"], step["step_id"]) == (FlowResultType.FORM, "create_bucket")
    step = await answer(hass, step, {"bucket_days": 30})
    assert step["step_id"] == "settings"
    await answer(hass, step, {})
    (policy,) = influx.influxql(f'SHOW RETENTION POLICIES ON "{wanted["bucket"]}"')
    assert policy["duration"] == "720h0m0s"
    hass.states.async_set("light.kitchen", "on")
    await stored()
    await caught_up(homeiq)
    assert "light.kitchen" in {point.get("entity_id") for point in influx.points(wanted["bucket"])}


async def test_a_bucket_is_created_for_ever_where_nothing_else_is_asked(
    hass: HomeAssistant, entry: HomeIQConfigEntry, influx: FaceProcess, connection: dict[str, Any]
) -> None:
    wanted = {**connection, "bucket": f"{connection['bucket']}-ever"}
    step = await answer(hass, await begin(hass, entry), fields_of("user", wanted))
    step = await answer(hass, step, fields_of("bucket", wanted))
    step = await answer(hass, step, {"next_step_id": "create_bucket"})
    assert (await answer(hass, step, {}))["step_id"] == "settings"
    (policy,) = influx.influxql(f'SHOW RETENTION POLICIES ON "{wanted["bucket"]}"')
    assert policy["duration"] == "0s"


async def test_a_bucket_that_cannot_be_created_is_explained_in_the_servers_words(
    hass: HomeAssistant, entry: HomeIQConfigEntry, connection: dict[str, Any]
) -> None:
    """A wrong organisation is met first as a missing bucket; another can be named instead."""
    step = await answer(hass, await begin(hass, entry), fields_of("user", connection))
    step = await answer(hass, step, {"org": "no-such-org", "bucket": connection["bucket"]})
    assert step["step_id"] == "bucket_missing"
    assert "no-such-org" in step["description_placeholders"]["error"]
    step = await answer(hass, step, {"next_step_id": "create_bucket"})
    step = await answer(hass, step, {"bucket_days": 1})
    assert step["step_id"] == "create_bucket"
    assert step["errors"] == {"base": "bucket_not_found"}
    assert "no-such-org" in step["description_placeholders"]["error"]


async def test_another_bucket_can_be_named_where_one_is_missing(
    hass: HomeAssistant, entry: HomeIQConfigEntry, connection: dict[str, Any]
) -> None:
    step = await answer(hass, await begin(hass, entry), fields_of("user", connection))
    step = await answer(hass, step, {"org": connection["org"], "bucket": "no-such-bucket"})
    step = await answer(hass, step, {"next_step_id": "bucket"})
    assert step["step_id"] == "bucket"
    step = await answer(hass, step, fields_of("bucket", connection))
    assert step["step_id"] == "settings"


async def test_an_unexpected_answer_to_the_first_point_is_shown_at_the_bucket(
    hass: HomeAssistant, entry: HomeIQConfigEntry, influx: FaceProcess, connection: dict[str, Any]
) -> None:
    step = await answer(hass, await begin(hass, entry), fields_of("user", connection))
    influx.fail_writes(418, body='{"message": "short and stout"}')
    step = await answer(hass, step, fields_of("bucket", connection))
    assert (step["step_id"], step["errors"]) == ("bucket", {"base": "unknown"})
    assert "short and stout" in step["description_placeholders"]["error"]
    step = await answer(hass, step, fields_of("bucket", connection))
    assert step["step_id"] == "settings"


async def test_a_bucket_needs_a_name(hass: HomeAssistant, entry: HomeIQConfigEntry, connection: dict[str, Any]) -> None:
    step = await answer(hass, await begin(hass, entry), fields_of("user", connection))
    step = await answer(hass, step, {"bucket": "  "})
    assert (step["step_id"], step["errors"]) == ("bucket", {"bucket": "name_missing"})


@pytest.mark.parametrize(
    ("settings", "errors", "value"),
    [
        ({"home": "a\nb"}, {"home": "invalid_home"}, "a\nb"),
        ({"home": "x" * 65}, {"home": "invalid_home"}, "x" * 65),
        ({"include": {"globs": ["kitchen"]}}, {"base": "invalid_pattern"}, "kitchen"),
        ({"exclude": {"domains": ["light.hall"]}}, {"base": "invalid_name"}, "light.hall"),
    ],
)
async def test_a_setting_that_cannot_be_is_shown_with_its_value_and_can_be_corrected(
    hass: HomeAssistant,
    entry: HomeIQConfigEntry,
    connection: dict[str, Any],
    settings: dict[str, Any],
    errors: dict[str, str],
    value: str,
) -> None:
    step = await answer(hass, await to_settings(hass, entry, connection), settings)
    assert (step["step_id"], step["errors"]) == ("settings", errors)
    assert step["description_placeholders"]["value"] == value
    assert (await answer(hass, step, {}))["type"] is FlowResultType.CREATE_ENTRY


async def test_the_same_bucket_is_not_added_twice(
    hass: HomeAssistant, entry: HomeIQConfigEntry, connection: dict[str, Any]
) -> None:
    """A slash at the end of the address or blanks around it make no other bucket."""
    await connect(hass, entry, connection)
    for url in (connection["url"], f"{connection['url']}/", f" {connection['url']} "):
        step = await answer(hass, await begin(hass, entry), {**fields_of("user", connection), "url": url})
        again = await answer(hass, step, fields_of("bucket", connection))
        assert (again["type"], again["reason"]) == (FlowResultType.ABORT, "already_configured")
    assert len(entry.subentries) == 1


async def test_victoria_metrics_is_offered_as_a_copy_of_the_numbers_only(
    hass: HomeAssistant, entry: HomeIQConfigEntry, homeiq: HomeIQData, victoria: VictoriaMetrics, stored: Stored
) -> None:
    """It says so before it goes on, asks for no bucket and no layout, and retention does not rely on it."""
    step = await answer(hass, await begin(hass, entry), {"url": victoria.url})
    assert (step["type"], step["step_id"]) == (FlowResultType.FORM, "metrics_only")
    step = await answer(hass, step, {})
    assert step["step_id"] == "settings"
    assert set(_suggested(step)) == {"home", "start", "start_days", "include", "exclude"}
    done = await answer(hass, step, {})
    await hass.async_block_till_done()
    assert done["type"] is FlowResultType.CREATE_ENTRY
    (subentry,) = entry.subentries.values()
    assert subentry.title == "VictoriaMetrics"
    assert (subentry.data["metrics_only"], subentry.data["server"]) == (True, "victoria_metrics")
    hass.states.async_set("sensor.power", "12.5")
    await stored()
    await caught_up(homeiq)
    assert await homeiq.replicas.acknowledged() == {}
    again = await answer(hass, await begin(hass, entry), {"url": victoria.url})
    assert (await answer(hass, again, {}))["reason"] == "already_configured"


async def test_reconfiguring_keeps_the_token_and_fills_another_bucket_from_the_same_start_point(
    hass: HomeAssistant,
    entry: HomeIQConfigEntry,
    homeiq: HomeIQData,
    influx: FaceProcess,
    connection: dict[str, Any],
    stored: Stored,
) -> None:
    subentry = await connect(hass, entry, connection)
    hass.states.async_set("light.kitchen", "on")
    await stored()
    await caught_up(homeiq)
    first = homeiq.replicas[subentry.subentry_id]
    bucket = f"{connection['bucket']}-new"
    influx.create_bucket(bucket)
    before = dict(subentry.data)

    step = await begin_again(hass, entry, subentry)
    assert step["step_id"] == "reconfigure"
    assert connection["token"] not in str(_suggested(step))
    step = await answer(hass, step, {"url": connection["url"], "verify_ssl": True})
    assert _suggested(step) == {"org": connection["org"], "bucket": connection["bucket"]}
    step = await answer(hass, step, {"org": connection["org"], "bucket": bucket})
    done = await answer(hass, step, {})
    await hass.async_block_till_done()

    assert done["reason"] == "reconfigure_successful"
    (changed,) = entry.subentries.values()
    assert dict(changed.data) == {**before, "bucket": bucket}
    assert changed.title == f"InfluxDB {bucket}"
    assert first.stats.state == "stopped"
    assert entry.runtime_data is homeiq
    await caught_up(homeiq)
    assert "light.kitchen" in {point.get("entity_id") for point in influx.points(bucket)}


async def test_a_changed_filter_is_taken_up_by_the_running_replica(
    hass: HomeAssistant,
    entry: HomeIQConfigEntry,
    homeiq: HomeIQData,
    influx: FaceProcess,
    connection: dict[str, Any],
    stored: Stored,
) -> None:
    subentry = await connect(hass, entry, connection, {"exclude": {"domains": ["light"]}})
    replica = homeiq.replicas[subentry.subentry_id]
    for change in ({"exclude": {"domains": ["switch"]}}, {}):
        step = await answer(hass, await begin_again(hass, entry, subentry), fields_of("user", connection))
        step = await answer(hass, step, fields_of("bucket", connection))
        assert (await answer(hass, step, change))["reason"] == "reconfigure_successful"
        await hass.async_block_till_done()
        assert homeiq.replicas[subentry.subentry_id] is replica
        assert entry.subentries[subentry.subentry_id].data.get("exclude", {}) == change.get("exclude", {})
    hass.states.async_set("light.hall", "on")
    await stored()
    await caught_up(homeiq)
    assert "light.hall" in {point.get("entity_id") for point in influx.points(connection["bucket"])}


async def test_a_start_point_that_is_chosen_again_makes_the_replica_start_over(
    hass: HomeAssistant,
    entry: HomeIQConfigEntry,
    homeiq: HomeIQData,
    influx: FaceProcess,
    connection: dict[str, Any],
    stored: Stored,
) -> None:
    hass.states.async_set("light.old", "on")
    await stored()
    subentry = await connect(hass, entry, connection, {"start": "now"})
    await caught_up(homeiq)
    assert "light.old" not in {point.get("entity_id") for point in influx.points(connection["bucket"])}
    step = await answer(hass, await begin_again(hass, entry, subentry), fields_of("user", connection))
    step = await answer(hass, step, fields_of("bucket", connection))
    await answer(hass, step, {"start": "everything"})
    await hass.async_block_till_done()
    await caught_up(homeiq)
    assert "light.old" in {point.get("entity_id") for point in influx.points(connection["bucket"])}


async def test_a_title_that_a_person_has_chosen_stays(
    hass: HomeAssistant, entry: HomeIQConfigEntry, influx: FaceProcess, connection: dict[str, Any]
) -> None:
    subentry = await connect(hass, entry, connection)
    hass.config_entries.async_update_subentry(entry, subentry, title="Attic")
    bucket = f"{connection['bucket']}-titled"
    influx.create_bucket(bucket)
    step = await answer(hass, await begin_again(hass, entry, subentry), fields_of("user", connection))
    step = await answer(hass, step, {"org": connection["org"], "bucket": bucket})
    await answer(hass, step, {})
    assert entry.subentries[subentry.subentry_id].title == "Attic"


async def test_connections_to_buckets_of_one_name_have_different_titles(
    hass: HomeAssistant, entry: HomeIQConfigEntry, connection: dict[str, Any]
) -> None:
    """The same server by another address is another place."""
    first = await connect(hass, entry, connection)
    second = await connect(hass, entry, {**connection, "url": connection["url"].replace("127.0.0.1", "localhost")})
    assert second.title == f"{first.title} 2"


async def test_a_reconfiguration_that_does_not_work_changes_nothing(
    hass: HomeAssistant, entry: HomeIQConfigEntry, influx: FaceProcess, connection: dict[str, Any]
) -> None:
    other = {**connection, "bucket": f"{connection['bucket']}-other"}
    influx.create_bucket(other["bucket"])
    first, second = await connect(hass, entry, connection), await connect(hass, entry, other)
    before = dict(second.data)
    step = await begin_again(hass, entry, second)
    step = await answer(hass, step, {**fields_of("user", connection), "url": "nonsense"})
    assert (step["step_id"], step["errors"]) == ("reconfigure", {"base": "invalid_url"})
    step = await answer(hass, step, {**fields_of("user", connection), "token": "wrong-one"})
    step = await answer(hass, step, fields_of("bucket", other))
    assert (step["step_id"], step["errors"]) == ("reconfigure", {"base": "invalid_auth"})
    assert "wrong-one" not in str(step["description_placeholders"])
    step = await answer(hass, step, fields_of("user", connection))
    taken = await answer(hass, step, {"org": first.data["org"], "bucket": first.data["bucket"]})
    assert taken["reason"] == "already_configured"
    assert dict(entry.subentries[second.subentry_id].data) == before


async def test_a_connection_of_the_first_version_is_followed_and_can_be_changed(
    hass: HomeAssistant, entry: HomeIQConfigEntry, homeiq: HomeIQData, connection: dict[str, Any]
) -> None:
    """It names url, organisation, bucket, token and verification only."""
    subentry = await connect(hass, entry, connection)
    hass.config_entries.async_update_subentry(entry, subentry, data=connection)
    await hass.async_block_till_done()
    await caught_up(homeiq)
    step = await answer(hass, await begin_again(hass, entry, subentry), fields_of("user", connection))
    step = await answer(hass, step, fields_of("bucket", connection))
    assert (await answer(hass, step, {}))["reason"] == "reconfigure_successful"
    assert "since_us" not in entry.subentries[subentry.subentry_id].data


async def test_every_step_can_be_shown_by_the_frontend(
    hass: HomeAssistant,
    hass_client: ClientSessionGenerator,
    entry: HomeIQConfigEntry,
    connection: dict[str, Any],
) -> None:
    """Over Home Assistant's own HTTP API, for an administrator."""
    assert await async_setup_component(hass, "websocket_api", {})
    assert await async_setup_component(hass, "config", {})
    client = await hass_client()

    async def post(path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        said = await client.post(f"/api/config/config_entries/subentries/flow{path}", json=body)
        assert said.status == 200
        told: dict[str, Any] = await said.json()
        return told

    step = await post("", {"handler": [entry.entry_id, "influxdb"]})
    flow = f"/{step['flow_id']}"
    assert [field["name"] for field in step["data_schema"]] == ["url", "token", "verify_ssl", "ca_pem"]
    step = await post(flow, fields_of("user", connection))
    assert [field["name"] for field in step["data_schema"]] == ["org", "bucket"]
    step = await post(flow, {**fields_of("bucket", connection), "bucket": "of-the-frontend"})
    assert step["menu_options"] == ["create_bucket", "bucket"]
    step = await post(flow, {"next_step_id": "create_bucket"})
    assert [field["name"] for field in step["data_schema"]] == ["bucket_days"]
    step = await post(flow, {"bucket_days": 1})
    assert {"layout", "home", "start", "start_days", "include", "exclude", "verify_reads"} == {
        field["name"] for field in step["data_schema"]
    }
    assert (await post(flow, {}))["type"] == "create_entry"
