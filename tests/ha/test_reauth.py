"""A refused token is asked for anew, one connection after another, and used at once; the events wait meanwhile."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from custom_components.homeiq.const import DOMAIN
from custom_components.homeiq.replica_coordinator import UPDATE_INTERVAL
from custom_components.homeiq.runtime import HomeIQConfigEntry, HomeIQData
from homeassistant.config_entries import SOURCE_REAUTH, SOURCE_RECONFIGURE, ConfigSubentry
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import issue_registry as ir
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import async_fire_time_changed

from tests.ha.conftest import Stored
from tests.ha.connecting import caught_up, connect, until
from tests.servers.face_process import FaceProcess

NEW = "a-new-token-that-may-write"


@pytest.fixture
def rotated(influx: FaceProcess) -> Iterator[FaceProcess]:
    """Return the server; it takes the usual token again after the test."""
    yield influx
    influx.use_token(influx.token)


@pytest.fixture
async def two(
    hass: HomeAssistant, entry: HomeIQConfigEntry, influx: FaceProcess, connection: dict[str, Any]
) -> tuple[ConfigSubentry, ConfigSubentry]:
    """Return two connections."""
    other = {**connection, "bucket": f"{connection['bucket']}-two"}
    influx.create_bucket(other["bucket"])
    return await connect(hass, entry, connection), await connect(hass, entry, other)


def _flows(hass: HomeAssistant, source: str = SOURCE_REAUTH) -> list[Mapping[str, Any]]:
    return [flow for flow in hass.config_entries.flow.async_progress() if flow["context"]["source"] == source]


def _asked_for(hass: HomeAssistant) -> list[str]:
    return [flow["context"]["title_placeholders"]["name"] for flow in _flows(hass)]


def _refused(hass: HomeAssistant) -> set[str]:
    issues = ir.async_get(hass).issues.values()
    return {str(issue.data["subentry_id"]) for issue in issues if issue.translation_key == "replica_unauthorized"}


async def _minute(hass: HomeAssistant) -> None:
    """Let the next reading of the figures come."""
    async_fire_time_changed(hass, dt_util.utcnow() + UPDATE_INTERVAL + timedelta(seconds=1))
    await hass.async_block_till_done()


async def test_a_token_is_rotated_while_everything_runs(
    hass: HomeAssistant,
    entry: HomeIQConfigEntry,
    homeiq: HomeIQData,
    rotated: FaceProcess,
    connection: dict[str, Any],
    stored: Stored,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The events of the time without a valid token arrive, without a reload; neither token is in a log or a form."""
    subentry = await connect(hass, entry, connection)
    await caught_up(homeiq)
    rotated.use_token(NEW)
    hass.states.async_set("light.kitchen", "on")
    await stored()
    await until(hass, lambda: bool(_flows(hass)))
    assert _asked_for(hass) == [subentry.title]
    assert _refused(hass) == {subentry.subentry_id}
    (flow,) = _flows(hass)
    assert (await homeiq.replicas[subentry.subentry_id].fresh_stats()).lag_events >= 1

    form = await hass.config_entries.flow.async_configure(flow["flow_id"])
    assert (form["type"], form["step_id"]) == (FlowResultType.FORM, "reauth_confirm")
    wrong = await hass.config_entries.flow.async_configure(flow["flow_id"], {"token": "nobodys"})
    assert wrong["errors"] == {"base": "invalid_auth"}
    assert "nobodys" not in str(wrong["description_placeholders"])
    done = await hass.config_entries.flow.async_configure(flow["flow_id"], {"token": f" {NEW} "})
    assert (done["type"], done["reason"]) == (FlowResultType.ABORT, "reauth_successful")
    await hass.async_block_till_done()

    assert entry.runtime_data is homeiq
    assert entry.subentries[subentry.subentry_id].data["token"] == NEW
    await caught_up(homeiq)
    assert "light.kitchen" in {point.get("entity_id") for point in rotated.points(connection["bucket"])}
    await homeiq.replicas.coordinator.async_refresh()
    assert _flows(hass) == []
    assert _refused(hass) == set()
    assert [token for token in (NEW, connection["token"], "nobodys") if token in caplog.text] == []


async def test_two_refused_connections_are_asked_for_one_after_the_other(
    hass: HomeAssistant,
    entry: HomeIQConfigEntry,
    homeiq: HomeIQData,
    rotated: FaceProcess,
    two: tuple[ConfigSubentry, ConfigSubentry],
    stored: Stored,
) -> None:
    """Home Assistant knows one such flow per entry; the second comes as soon as the first has ended."""
    rotated.use_token(NEW)
    hass.states.async_set("light.kitchen", "on")
    await stored()
    await until(hass, lambda: len(_refused(hass)) == 2 and bool(_flows(hass)))
    assert len(_flows(hass)) == 1
    answered = []
    for _ in two:
        await until(hass, lambda: bool(_flows(hass)))
        (flow,) = _flows(hass)
        answered += _asked_for(hass)
        done = await hass.config_entries.flow.async_configure(flow["flow_id"], {"token": NEW})
        assert done["reason"] == "reauth_successful"
        await hass.async_block_till_done()
    assert sorted(answered) == sorted(subentry.title for subentry in two)
    await caught_up(homeiq)
    await homeiq.replicas.coordinator.async_refresh()
    await hass.async_block_till_done()
    assert _flows(hass) == []
    assert {subentry.data["token"] for subentry in entry.subentries.values()} == {NEW}
    assert _refused(hass) == set()


async def test_a_flow_that_is_dismissed_lets_the_next_come_and_comes_again_later(
    hass: HomeAssistant,
    entry: HomeIQConfigEntry,
    homeiq: HomeIQData,
    rotated: FaceProcess,
    two: tuple[ConfigSubentry, ConfigSubentry],
    stored: Stored,
) -> None:
    rotated.use_token(NEW)
    hass.states.async_set("light.kitchen", "on")
    await stored()
    await until(hass, lambda: len(_refused(hass)) == 2 and bool(_flows(hass)))
    first = _asked_for(hass)
    hass.config_entries.flow.async_abort(_flows(hass)[0]["flow_id"])
    await hass.async_block_till_done()
    second = _asked_for(hass)
    assert sorted(first + second) == sorted(subentry.title for subentry in two)
    hass.config_entries.flow.async_abort(_flows(hass)[0]["flow_id"])
    await hass.async_block_till_done()
    assert _asked_for(hass) == first


async def test_an_open_reconfiguration_holds_the_flow_back_until_it_ends(
    hass: HomeAssistant,
    entry: HomeIQConfigEntry,
    homeiq: HomeIQData,
    rotated: FaceProcess,
    connection: dict[str, Any],
    stored: Stored,
) -> None:
    """The repair issue is there meanwhile."""
    subentry = await connect(hass, entry, connection)
    begun = await hass.config_entries.flow.async_init(
        DOMAIN, context={"source": SOURCE_RECONFIGURE, "entry_id": entry.entry_id}
    )
    rotated.use_token(NEW)
    hass.states.async_set("light.kitchen", "on")
    await stored()
    await until(hass, lambda: _refused(hass) == {subentry.subentry_id})
    assert _flows(hass) == []
    hass.config_entries.flow.async_abort(begun["flow_id"])
    await hass.async_block_till_done()
    assert _asked_for(hass) == [subentry.title]


async def test_a_token_that_works_again_ends_the_flow(
    hass: HomeAssistant,
    entry: HomeIQConfigEntry,
    homeiq: HomeIQData,
    rotated: FaceProcess,
    connection: dict[str, Any],
    stored: Stored,
) -> None:
    subentry = await connect(hass, entry, connection)
    rotated.use_token(NEW)
    hass.states.async_set("light.kitchen", "on")
    await stored()
    await until(hass, lambda: bool(_flows(hass)))
    rotated.use_token(connection["token"])
    homeiq.replicas.try_again(subentry.subentry_id)
    await caught_up(homeiq)
    await until(hass, lambda: not _flows(hass))
    assert _refused(hass) == set()


async def test_a_flow_whose_connection_was_removed_says_so(
    hass: HomeAssistant,
    entry: HomeIQConfigEntry,
    homeiq: HomeIQData,
    rotated: FaceProcess,
    connection: dict[str, Any],
    stored: Stored,
) -> None:
    """It would end by itself; one that is answered in that moment is told why."""
    subentry = await connect(hass, entry, connection)
    rotated.use_token(NEW)
    hass.states.async_set("light.kitchen", "on")
    await stored()
    await until(hass, lambda: bool(_flows(hass)))
    (flow,) = _flows(hass)
    hass.config_entries.async_remove_subentry(entry, subentry.subentry_id)
    done = await hass.config_entries.flow.async_configure(flow["flow_id"], {"token": NEW})
    assert (done["type"], done["reason"]) == (FlowResultType.ABORT, "connection_removed")
    await hass.async_block_till_done()
    await _minute(hass)
    assert _flows(hass) == []
    assert _refused(hass) == set()


async def test_a_good_token_is_kept_though_the_bucket_is_missing(
    hass: HomeAssistant,
    entry: HomeIQConfigEntry,
    homeiq: HomeIQData,
    rotated: FaceProcess,
    connection: dict[str, Any],
    stored: Stored,
) -> None:
    """The bucket has an issue of its own."""
    subentry = await connect(hass, entry, connection)
    rotated.use_token(NEW)
    rotated.drop_bucket(connection["bucket"])
    hass.states.async_set("light.kitchen", "on")
    await stored()
    await until(hass, lambda: bool(_flows(hass)))
    done = await hass.config_entries.flow.async_configure(_flows(hass)[0]["flow_id"], {"token": NEW})
    assert done["reason"] == "reauth_successful"
    await hass.async_block_till_done()
    issue = (DOMAIN, f"replica_bucket_missing_{subentry.subentry_id}")
    await until(hass, lambda: issue in ir.async_get(hass).issues)


async def test_unloading_and_removing_the_entry_leaves_no_flow_and_no_issue(
    hass: HomeAssistant,
    entry: HomeIQConfigEntry,
    homeiq: HomeIQData,
    rotated: FaceProcess,
    connection: dict[str, Any],
    stored: Stored,
) -> None:
    await connect(hass, entry, connection)
    rotated.use_token(NEW)
    hass.states.async_set("light.kitchen", "on")
    await stored()
    await until(hass, lambda: bool(_flows(hass)))
    await hass.config_entries.async_unload(entry.entry_id)
    assert _refused(hass) == set()
    await hass.config_entries.async_remove(entry.entry_id)
    await hass.async_block_till_done()
    assert _flows(hass) == []
