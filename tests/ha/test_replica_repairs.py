"""A replica's repair issues tell what is wrong, and their flows put it right."""

from collections.abc import Mapping
import time
from typing import Any
from unittest.mock import patch

from custom_components.homeiq.const import DOMAIN
from custom_components.homeiq.engine.model import StoreError
from custom_components.homeiq.engine.store import Follower
from custom_components.homeiq.runtime import HomeIQConfigEntry, HomeIQData
from homeassistant.config_entries import ConfigSubentry
from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from tests.ha.conftest import Stored
from tests.ha.connecting import answer, caught_up, connect, fields_of, until
from tests.servers.debian_servers import VictoriaMetrics
from tests.servers.face_process import FaceProcess

type Fix = Any


def _issue(hass: HomeAssistant, kind: str, subentry: ConfigSubentry) -> ir.IssueEntry | None:
    return ir.async_get(hass).async_get_issue(DOMAIN, f"{kind}_{subentry.subentry_id}")


@pytest.fixture
async def fix(hass: HomeAssistant, hass_client: ClientSessionGenerator, entry: HomeIQConfigEntry) -> Fix:
    """Return a function that goes one step in the fix flow of an issue, over Home Assistant's own HTTP API."""
    assert await async_setup_component(hass, "repairs", {})
    client = await hass_client()

    async def fix(path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        said = await client.post(f"/api/repairs/issues/fix{path}", json=body)
        assert said.status == 200, await said.text()
        told: dict[str, Any] = await said.json()
        return told

    return fix


async def _begin(fix: Fix, kind: str, subentry: ConfigSubentry) -> dict[str, Any]:
    told: dict[str, Any] = await fix("", {"handler": DOMAIN, "issue_id": f"{kind}_{subentry.subentry_id}"})
    return told


@pytest.fixture
async def missing(
    hass: HomeAssistant,
    entry: HomeIQConfigEntry,
    homeiq: HomeIQData,
    influx: FaceProcess,
    connection: dict[str, Any],
    stored: Stored,
) -> ConfigSubentry:
    """Return a connection whose bucket was deleted, with an event that waits for it."""
    subentry = await connect(hass, entry, connection)
    await caught_up(homeiq)
    influx.drop_bucket(connection["bucket"])
    hass.states.async_set("light.waiting", "on")
    await stored()
    await until(hass, lambda: _issue(hass, "replica_bucket_missing", subentry) is not None)
    return subentry


@pytest.fixture
async def refusing(
    hass: HomeAssistant,
    entry: HomeIQConfigEntry,
    homeiq: HomeIQData,
    influx: FaceProcess,
    connection: dict[str, Any],
    stored: Stored,
) -> ConfigSubentry:
    """Return a connection whose server refuses one of two events: the field has another type there."""
    influx._open(f"{influx.influxql_url}/write?db={connection['bucket']}", f"light state=1 {time.time_ns()}".encode())
    subentry = await connect(hass, entry, connection)
    hass.states.async_set("light.refused", "on")
    hass.states.async_set("switch.taken", "on")
    await stored()
    await caught_up(homeiq)
    await until(hass, lambda: _issue(hass, "replica_dead_letters", subentry) is not None)
    return subentry


async def test_a_missing_bucket_is_created_by_the_fix_flow_and_the_events_that_waited_arrive(
    hass: HomeAssistant, homeiq: HomeIQData, influx: FaceProcess, fix: Fix, missing: ConfigSubentry
) -> None:
    bucket = missing.data["bucket"]
    issue = _issue(hass, "replica_bucket_missing", missing)
    assert issue is not None
    assert (issue.is_fixable, issue.severity) == (True, ir.IssueSeverity.ERROR)
    step = await _begin(fix, "replica_bucket_missing", missing)
    assert step["menu_options"] == ["create", "choose"]
    assert step["description_placeholders"]["bucket"] == bucket
    step = await fix(f"/{step['flow_id']}", {"next_step_id": "create"})
    assert [field["name"] for field in step["data_schema"]] == ["bucket_days"]
    done = await fix(f"/{step['flow_id']}", {"bucket_days": 7})
    assert done["type"] == "create_entry"
    await caught_up(homeiq)
    assert "light.waiting" in {point.get("entity_id") for point in influx.points(bucket)}
    await homeiq.replicas.coordinator.async_refresh()
    assert _issue(hass, "replica_bucket_missing", missing) is None


async def test_a_bucket_that_cannot_be_created_keeps_the_issue_and_tells_the_servers_words(
    hass: HomeAssistant, entry: HomeIQConfigEntry, homeiq: HomeIQData, fix: Fix, missing: ConfigSubentry
) -> None:
    hass.config_entries.async_update_subentry(entry, missing, data={**missing.data, "org": "no-such-org"})
    await hass.async_block_till_done()
    await until(hass, lambda: _issue(hass, "replica_bucket_missing", missing) is not None)
    step = await _begin(fix, "replica_bucket_missing", missing)
    step = await fix(f"/{step['flow_id']}", {"next_step_id": "create"})
    wrong = await fix(f"/{step['flow_id']}", {"bucket_days": 0})
    assert wrong["errors"] == {"base": "bucket_not_found"}
    assert "no-such-org" in wrong["description_placeholders"]["error"]
    assert _issue(hass, "replica_bucket_missing", missing) is not None


async def test_another_bucket_is_chosen_in_the_connections_own_form(
    hass: HomeAssistant,
    homeiq: HomeIQData,
    influx: FaceProcess,
    connection: dict[str, Any],
    fix: Fix,
    missing: ConfigSubentry,
) -> None:
    """The fix flow leads there; the issue goes when events arrive."""
    step = await _begin(fix, "replica_bucket_missing", missing)
    ended = await fix(f"/{step['flow_id']}", {"next_step_id": "choose"})
    assert (ended["type"], ended["reason"]) == ("abort", "continue_in_settings")
    assert ended["next_flow"][0] == "config_subentries_flow"
    assert _issue(hass, "replica_bucket_missing", missing) is not None
    influx.create_bucket(f"{connection['bucket']}-chosen")
    form = await answer(hass, {"flow_id": ended["next_flow"][1]}, fields_of("user", connection))
    form = await answer(hass, form, {"org": connection["org"], "bucket": f"{connection['bucket']}-chosen"})
    assert (await answer(hass, form, {}))["reason"] == "reconfigure_successful"
    await hass.async_block_till_done()
    await caught_up(homeiq)
    await homeiq.replicas.coordinator.async_refresh()
    assert _issue(hass, "replica_bucket_missing", missing) is None


async def test_a_refused_token_leads_to_the_connections_form(
    hass: HomeAssistant,
    entry: HomeIQConfigEntry,
    homeiq: HomeIQData,
    influx: FaceProcess,
    connection: dict[str, Any],
    fix: Fix,
    stored: Stored,
) -> None:
    subentry = await connect(hass, entry, connection)
    hass.config_entries.async_update_subentry(entry, subentry, data={**subentry.data, "token": "of-nobody"})
    hass.states.async_set("light.waiting", "on")
    await stored()
    await until(hass, lambda: _issue(hass, "replica_unauthorized", subentry) is not None)
    step = await _begin(fix, "replica_unauthorized", subentry)
    assert step["step_id"] == "confirm"
    assert step["description_placeholders"]["name"] == subentry.title
    assert "of-nobody" not in str(step)
    ended = await fix(f"/{step['flow_id']}", {})
    assert ended["next_flow"][0] == "config_subentries_flow"
    form = await answer(hass, {"flow_id": ended["next_flow"][1]}, fields_of("user", connection))
    form = await answer(hass, form, fields_of("bucket", connection))
    assert (await answer(hass, form, {}))["reason"] == "reconfigure_successful"
    await hass.async_block_till_done()
    await caught_up(homeiq)
    await until(hass, lambda: _issue(hass, "replica_unauthorized", subentry) is None)


async def test_dead_letters_are_told_and_sent_again_once_the_server_takes_them(
    hass: HomeAssistant,
    homeiq: HomeIQData,
    influx: FaceProcess,
    connection: dict[str, Any],
    fix: Fix,
    refusing: ConfigSubentry,
) -> None:
    issue = _issue(hass, "replica_dead_letters", refusing)
    assert issue is not None
    assert issue.severity is ir.IssueSeverity.WARNING
    assert issue.translation_placeholders is not None
    assert issue.translation_placeholders["count"] == "1"
    taken = {point.get("entity_id") for point in influx.points(connection["bucket"])}
    assert "switch.taken" in taken
    assert "light.refused" not in taken
    step = await _begin(fix, "replica_dead_letters", refusing)
    assert step["menu_options"] == ["retry", "purge"]
    again = await fix(f"/{step['flow_id']}", {"next_step_id": "retry"})
    assert (again["type"], again["reason"]) == ("abort", "still_refused")
    assert again["description_placeholders"] == {"delivered": "0", "refused": "1"}
    influx.influxql("DROP MEASUREMENT light", connection["bucket"])
    step = await _begin(fix, "replica_dead_letters", refusing)
    done = await fix(f"/{step['flow_id']}", {"next_step_id": "retry"})
    assert done["type"] == "create_entry"
    assert "light.refused" in {point.get("entity_id") for point in influx.points(connection["bucket"])}
    await homeiq.replicas.coordinator.async_refresh()
    assert _issue(hass, "replica_dead_letters", refusing) is None


async def test_dead_letters_are_deleted_after_a_confirmation(
    hass: HomeAssistant, homeiq: HomeIQData, fix: Fix, refusing: ConfigSubentry, stored: Stored
) -> None:
    """Their events stay in the store."""
    step = await _begin(fix, "replica_dead_letters", refusing)
    step = await fix(f"/{step['flow_id']}", {"next_step_id": "purge"})
    assert step["step_id"] == "purge"
    assert (await fix(f"/{step['flow_id']}", {}))["type"] == "create_entry"
    await homeiq.replicas.coordinator.async_refresh()
    assert _issue(hass, "replica_dead_letters", refusing) is None
    assert [event.state for event in await stored("light.refused")] == ["on"]


async def test_a_fix_that_fails_says_why_and_keeps_the_issue(
    hass: HomeAssistant, homeiq: HomeIQData, influx: FaceProcess, fix: Fix, refusing: ConfigSubentry
) -> None:
    influx.fail_writes(503, body='{"message": "not today"}')
    step = await _begin(fix, "replica_dead_letters", refusing)
    failed = await fix(f"/{step['flow_id']}", {"next_step_id": "retry"})
    assert failed["reason"] == "retry_failed"
    assert "not today" in failed["description_placeholders"]["error"]
    step = await _begin(fix, "replica_dead_letters", refusing)
    step = await fix(f"/{step['flow_id']}", {"next_step_id": "purge"})
    with patch.object(Follower, "delete_dead_letters", side_effect=StoreError("locked", reason="locked")):
        failed = await fix(f"/{step['flow_id']}", {})
    assert (failed["reason"], failed["description_placeholders"]) == ("purge_failed", {"error": "locked"})
    assert _issue(hass, "replica_dead_letters", refusing) is not None


async def test_dead_letters_that_were_ignored_are_told_again_when_they_have_doubled(
    hass: HomeAssistant, homeiq: HomeIQData, refusing: ConfigSubentry, stored: Stored
) -> None:
    issue_id = f"replica_dead_letters_{refusing.subentry_id}"
    ir.async_ignore_issue(hass, DOMAIN, issue_id, True)
    await homeiq.replicas.coordinator.async_refresh()
    ignored = _issue(hass, "replica_dead_letters", refusing)
    assert ignored is not None
    assert ignored.dismissed_version is not None
    hass.states.async_set("light.refused", "off")
    await stored()
    await caught_up(homeiq)
    await homeiq.replicas.coordinator.async_refresh()
    told = _issue(hass, "replica_dead_letters", refusing)
    assert told is not None
    assert told.dismissed_version is None
    assert told.translation_placeholders is not None
    assert told.translation_placeholders["count"] == "2"


@pytest.mark.parametrize(
    ("kind", "choice"),
    [
        ("replica_bucket_missing", "create"),
        ("replica_bucket_missing", "choose"),
    ],
)
async def test_a_fix_flow_whose_connection_was_removed_says_so(
    hass: HomeAssistant,
    entry: HomeIQConfigEntry,
    fix: Fix,
    missing: ConfigSubentry,
    kind: str,
    choice: str,
) -> None:
    step = await _begin(fix, kind, missing)
    hass.config_entries.async_remove_subentry(entry, missing.subentry_id)
    await hass.async_block_till_done()
    ended = await fix(f"/{step['flow_id']}", {"next_step_id": choice})
    assert (ended["type"], ended["reason"]) == ("abort", "connection_removed")


@pytest.mark.parametrize("choice", ["retry", "purge"])
async def test_a_fix_flow_of_dead_letters_whose_connection_was_removed_says_so(
    hass: HomeAssistant, entry: HomeIQConfigEntry, fix: Fix, refusing: ConfigSubentry, choice: str
) -> None:
    step = await _begin(fix, "replica_dead_letters", refusing)
    hass.config_entries.async_remove_subentry(entry, refusing.subentry_id)
    await hass.async_block_till_done()
    ended = await fix(f"/{step['flow_id']}", {"next_step_id": choice})
    assert (ended["type"], ended["reason"]) == ("abort", "connection_removed")


@pytest.fixture
async def disguised(
    hass: HomeAssistant,
    entry: HomeIQConfigEntry,
    homeiq: HomeIQData,
    victoria: VictoriaMetrics,
    connection: dict[str, Any],
    stored: Stored,
) -> ConfigSubentry:
    """Return a connection whose server keeps numbers only, which its settings do not know."""
    subentry = await connect(hass, entry, connection)
    hass.config_entries.async_update_subentry(entry, subentry, data={**subentry.data, "url": victoria.url})
    hass.states.async_set("sensor.power", "1")
    await stored()
    await until(hass, lambda: _issue(hass, "replica_metrics_only", subentry) is not None)
    return subentry


async def test_a_server_that_keeps_numbers_only_is_told_and_can_be_accepted(
    hass: HomeAssistant, entry: HomeIQConfigEntry, homeiq: HomeIQData, fix: Fix, disguised: ConfigSubentry
) -> None:
    """From then on retention does not rely on it."""
    assert len(await homeiq.replicas.acknowledged()) == 1
    step = await _begin(fix, "replica_metrics_only", disguised)
    assert step["menu_options"] == ["accept", "choose"]
    assert (await fix(f"/{step['flow_id']}", {"next_step_id": "accept"}))["type"] == "create_entry"
    await hass.async_block_till_done()
    assert entry.subentries[disguised.subentry_id].data["metrics_only"] is True
    assert await homeiq.replicas.acknowledged() == {}
    await caught_up(homeiq)
    await homeiq.replicas.coordinator.async_refresh()
    assert _issue(hass, "replica_metrics_only", disguised) is None


async def test_a_connection_to_another_server_ends_the_issue_of_the_one_that_keeps_numbers_only(
    hass: HomeAssistant,
    entry: HomeIQConfigEntry,
    homeiq: HomeIQData,
    connection: dict[str, Any],
    disguised: ConfigSubentry,
) -> None:
    hass.config_entries.async_update_subentry(entry, disguised, data={**disguised.data, "url": connection["url"]})
    await hass.async_block_till_done()
    await caught_up(homeiq)
    await until(hass, lambda: _issue(hass, "replica_metrics_only", disguised) is None)


async def test_accepting_for_a_connection_that_was_removed_says_so(
    hass: HomeAssistant, entry: HomeIQConfigEntry, fix: Fix, disguised: ConfigSubentry
) -> None:
    step = await _begin(fix, "replica_metrics_only", disguised)
    hass.config_entries.async_remove_subentry(entry, disguised.subentry_id)
    await hass.async_block_till_done()
    ended = await fix(f"/{step['flow_id']}", {"next_step_id": "accept"})
    assert (ended["type"], ended["reason"]) == ("abort", "connection_removed")
