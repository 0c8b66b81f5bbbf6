"""What HomeIQ takes from Home Assistant and its libraries without a public contract is as it expects."""

import inspect
import json
from pathlib import Path
import subprocess
import sys
import threading
from typing import Any

import aiosqlite
from custom_components.homeiq.adapters import bus
from custom_components.homeiq.adapters.history import _NEEDED
from custom_components.homeiq.config_flow import HomeIQConfigFlow
from custom_components.homeiq.const import DOMAIN
from homeassistant.components.automation import EVENT_AUTOMATION_TRIGGERED
from homeassistant.components.recorder import db_schema
from homeassistant.components.recorder.models import bytes_to_ulid_or_none, bytes_to_uuid_hex_or_none
from homeassistant.components.script import EVENT_SCRIPT_STARTED
from homeassistant.config_entries import ConfigEntry
from homeassistant.core import Context, HomeAssistant
from homeassistant.helpers import entity
from homeassistant.loader import async_get_integration
import pytest

pytestmark = pytest.mark.contract
ROOT = Path(__file__).resolve().parents[2]


def test_the_events_of_runs_have_the_names_we_listen_for() -> None:
    assert bus.EVENT_AUTOMATION_TRIGGERED == EVENT_AUTOMATION_TRIGGERED
    assert bus.EVENT_SCRIPT_STARTED == EVENT_SCRIPT_STARTED


async def test_a_closed_connections_thread_can_be_waited_for(tmp_path: Path) -> None:
    """The library ends its thread after ``close`` returned; the attribute is how we wait for it."""
    connection = await aiosqlite.connect(tmp_path / "a.db")
    thread: threading.Thread = connection._thread
    assert thread.is_alive()
    await connection.close()
    thread.join(5)
    assert not thread.is_alive()


@pytest.mark.parametrize(("table", "columns"), _NEEDED.items())
def test_the_recorders_tables_have_the_columns_we_read(table: type, columns: tuple[str, ...]) -> None:
    """They are mapped attributes of the same name; a change of the schema's version is worth a look."""
    assert [column for column in columns if not hasattr(table, column)] == []
    assert db_schema.SCHEMA_VERSION == 53


def test_the_recorder_keeps_contexts_as_bytes() -> None:
    context = Context(user_id="0123456789abcdef0123456789abcdef")
    state = db_schema.States(
        context_id_bin=db_schema.ulid_to_bytes_or_none(context.id),
        context_user_id_bin=db_schema.uuid_hex_to_bytes_or_none(context.user_id),
    )
    assert bytes_to_ulid_or_none(state.context_id_bin) == context.id
    assert bytes_to_uuid_hex_or_none(state.context_user_id_bin) == context.user_id


async def test_an_entity_says_what_recorders_shall_leave_out(hass: HomeAssistant) -> None:
    """In the state's ``state_info``, which no documentation names."""
    assert "unrecorded_attributes" in inspect.getsource(entity.Entity)
    hass.states.async_set("light.a", "on", state_info={"unrecorded_attributes": frozenset({"x"})})
    state = hass.states.get("light.a")
    assert state is not None
    assert bus.unrecorded(state) == frozenset({"x"})
    hass.states.async_set("light.b", "on")
    plain = hass.states.get("light.b")
    assert plain is not None
    assert bus.unrecorded(plain) == frozenset()


async def test_unchanged_attributes_stay_the_same_object(hass: HomeAssistant) -> None:
    """The payload of a state is encoded once as long as its attributes are this very object."""
    hass.states.async_set("light.a", "on", {"x": 1})
    first = hass.states.get("light.a")
    hass.states.async_set("light.a", "off", {"x": 1})
    second = hass.states.get("light.a")
    assert first is not None
    assert second is not None
    assert first.attributes is second.attributes


def test_flows_with_an_update_listener_must_not_reload() -> None:
    """The method that our flows end with exists where we use it."""
    assert hasattr(HomeIQConfigFlow, "async_update_and_abort")
    assert hasattr(ConfigEntry, "add_update_listener")


async def test_home_assistant_finds_the_integration_and_its_platforms(hass: HomeAssistant) -> None:
    integration = await async_get_integration(hass, DOMAIN)
    manifest = json.loads((ROOT / "custom_components/homeiq/manifest.json").read_text(encoding="utf-8"))
    assert integration.version == manifest["version"]
    assert integration.single_config_entry
    assert integration.config_flow
    assert set(
        integration.platforms_exists(["diagnostics", "repairs", "system_health", "sensor", "binary_sensor"])
    ) == {
        "diagnostics",
        "repairs",
        "system_health",
        "sensor",
        "binary_sensor",
    }


_IMPORT = """
import json, sys, time
import homeassistant.core, homeassistant.config_entries, homeassistant.helpers.entity_platform
import homeassistant.components.http, homeassistant.components.websocket_api
import homeassistant.components.sensor, homeassistant.components.binary_sensor
import homeassistant.components.automation, homeassistant.components.script
before = set(sys.modules)
began = time.process_time()
import custom_components.homeiq, custom_components.homeiq.sensor, custom_components.homeiq.binary_sensor
took = time.process_time() - began
print(json.dumps({"took": took, "new": sorted(set(sys.modules) - before), "all": sorted(sys.modules)}))
"""


@pytest.fixture(scope="module")
def imported() -> dict[str, Any]:
    """Import the integration in a fresh Python, after what Home Assistant has loaded by then anyway."""
    done = subprocess.run(
        [sys.executable, "-c", _IMPORT], cwd=ROOT, capture_output=True, timeout=120, check=True, text=True
    )
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


@pytest.mark.parametrize(
    "heavy",
    [
        "influxdb_client",
        "numpy",
        "openai",
        "reactivex",
        "RestrictedPython",
        "scipy",
        "sklearn",
        "sqlalchemy",
        "homeassistant.components.recorder",
    ],
)
def test_the_integrations_import_loads_nothing_heavy(imported: dict[str, Any], heavy: str) -> None:
    assert [name for name in imported["new"] if name == heavy or name.startswith(f"{heavy}.")] == []


def test_the_integrations_import_is_short(imported: dict[str, Any]) -> None:
    """Half a second is the goal for import and set-up together; of processor time, for others use the machine too."""
    assert imported["took"] < 0.5
