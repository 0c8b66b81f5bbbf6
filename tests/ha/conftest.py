"""Give HA tests the integration, set up as a user sets it up, in a configuration folder of the test's own."""

from collections.abc import Awaitable, Callable, Iterator
from itertools import count
import logging
from pathlib import Path

from custom_components.homeiq.const import DOMAIN  # first: the test plugin ships a custom_components of its own
from custom_components.homeiq.engine.model import Event, EventKind, EventQuery
from custom_components.homeiq.places import Places
from custom_components.homeiq.runtime import HomeIQConfigEntry, HomeIQData
from homeassistant.config_entries import SOURCE_USER, ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.loader import DATA_CUSTOM_COMPONENTS
import pytest
from pytest_homeassistant_custom_component.syrupy import HomeAssistantSnapshotExtension
from syrupy.assertion import SnapshotAssertion

from tests.servers.debian_servers import ServersUnavailableError, VictoriaMetrics
from tests.servers.face_process import FaceProcess

type EntryOf = Callable[[HomeAssistant], Awaitable[HomeIQConfigEntry]]
type Flush = Callable[[], Awaitable[int]]
type Stored = Callable[..., Awaitable[list[Event]]]

_BUCKETS = count(1)


def store_path(hass: HomeAssistant) -> Path:
    """Return where the store's file is by default."""
    return Places.of(hass).inside


@pytest.fixture
def hass_config_dir(tmp_path: Path) -> str:
    """Return an empty configuration folder, so that no store lands in the plugin's shared one."""
    folder = tmp_path / "config"
    folder.mkdir()
    return str(folder)


@pytest.fixture(autouse=True)
def _no_slow_callbacks() -> Iterator[None]:
    """Silence asyncio's debug warnings: on a busy machine they come by chance, and HomeIQ would store them as events."""
    logger = logging.getLogger("asyncio")
    before = logger.level
    logger.setLevel(logging.ERROR)
    yield
    logger.setLevel(before)


@pytest.fixture
async def hass(hass: HomeAssistant) -> HomeAssistant:
    """Return the plugin's Home Assistant, which now finds custom integrations."""
    hass.data.pop(DATA_CUSTOM_COMPONENTS)
    return hass


@pytest.fixture
def enable_custom_integrations(hass: HomeAssistant) -> None:
    """Do nothing: the Home Assistant of these tests finds them already."""


@pytest.fixture
def user_input() -> dict[str, object]:
    """Return what the user enters into the first form; tests override it."""
    return {}


@pytest.fixture
def entry_of(user_input: dict[str, object]) -> EntryOf:
    """Return a function that sets the integration up in a Home Assistant by the real config flow."""

    async def entry_of(hass: HomeAssistant) -> HomeIQConfigEntry:
        hass.data.pop(DATA_CUSTOM_COMPONENTS, None)
        begun = await hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_USER})
        done = await hass.config_entries.flow.async_configure(begun["flow_id"], user_input)
        assert done["type"] is FlowResultType.CREATE_ENTRY
        await hass.async_block_till_done()
        entry: HomeIQConfigEntry = done["result"]
        assert entry.state is ConfigEntryState.LOADED
        return entry

    return entry_of


@pytest.fixture
async def entry(hass: HomeAssistant, entry_of: EntryOf) -> HomeIQConfigEntry:
    """Return the loaded entry."""
    return await entry_of(hass)


@pytest.fixture
def homeiq(entry: HomeIQConfigEntry) -> HomeIQData:
    """Return what runs for the entry."""
    return entry.runtime_data


@pytest.fixture
def flush(hass: HomeAssistant, entry: HomeIQConfigEntry) -> Flush:
    """Return a function that lets the bus settle and commits what was heard."""

    async def flush() -> int:
        await hass.async_block_till_done()
        return await entry.runtime_data.pipeline.flush()

    return flush


@pytest.fixture
def stored(entry: HomeIQConfigEntry, flush: Flush) -> Stored:
    """Return a function that commits what was heard and returns the stored events, of one entity or kind if asked."""

    async def stored(entity_id: str | None = None, kind: EventKind | None = None) -> list[Event]:
        await flush()
        query = EventQuery(
            entity_ids=None if entity_id is None else (entity_id,),
            kinds=None if kind is None else (kind,),
            limit=10_000,
        )
        return list((await entry.runtime_data.store.query(query)).events)

    return stored


@pytest.fixture
def snapshot(snapshot: SnapshotAssertion) -> SnapshotAssertion:
    """Return snapshots that know Home Assistant's objects."""
    return snapshot.use_extension(HomeAssistantSnapshotExtension)


@pytest.fixture
def connection(influx: FaceProcess) -> dict[str, object]:
    """Return what a user enters for an empty bucket of this test's own."""
    bucket = f"ha-{next(_BUCKETS)}"
    influx.create_bucket(bucket)
    return {"url": influx.url, "org": influx.org, "bucket": bucket, "token": influx.token, "verify_ssl": True}


@pytest.fixture
def victoria(tmp_path: Path, socket_enabled: None) -> Iterator[VictoriaMetrics]:
    """Run a VictoriaMetrics of this test's own."""
    server = VictoriaMetrics(tmp_path / "victoria")
    try:
        server.start()
    except ServersUnavailableError as err:
        pytest.skip(str(err))
    yield server
    server.stop()
