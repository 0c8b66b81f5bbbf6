"""Run Home Assistant's own influxdb integration in a real core, and count what it has delivered."""

from dataclasses import dataclass
import json
from typing import Final
from urllib.parse import urlencode, urlsplit
from urllib.request import urlopen

from homeassistant.components.influxdb import InfluxThread
from homeassistant.config_entries import SOURCE_IMPORT, ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType

from _bench.common import BenchError, Json

DOMAIN: Final = "influxdb"
_TIMEOUT_S: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """Say where the servers are: version 2's API, version 1's, and the bucket, which is the database."""

    url: str
    token: str
    org: str
    influxql_url: str
    bucket: str


class CoreInfluxDB:
    """Be the integration as a user has it who gave the connection and nothing else."""

    def __init__(self, server: Server, api_version: str) -> None:
        """Take the server and the version of its API to use, 1 or 2."""
        self._server = server
        self._api_version = api_version

    async def set_up(self, hass: HomeAssistant) -> None:
        """Import the connection, as from configuration.yaml; raises BenchError if the integration does not load."""
        # script/setup has installed what its manifest asks for.
        hass.config.skip_pip = True
        result = await hass.config_entries.flow.async_init(
            DOMAIN, context={"source": SOURCE_IMPORT}, data=self._connection()
        )
        if result["type"] is not FlowResultType.CREATE_ENTRY:
            raise BenchError(f"the influxdb integration could not be set up: {result.get('reason')}")
        await hass.async_block_till_done()
        entry = self._entry = hass.config_entries.async_entries(DOMAIN)[0]
        if entry.state is not ConfigEntryState.LOADED:
            raise BenchError(f"the influxdb integration is not loaded but {entry.state}: {entry.reason}")
        self._thread: InfluxThread = entry.runtime_data

    async def unload(self, hass: HomeAssistant) -> None:
        """End its thread, which would keep this process alive."""
        await hass.config_entries.async_unload(self._entry.entry_id)

    def waiting(self) -> int:
        """Return how many events wait in its queue."""
        return self._thread.queue.qsize()

    def delivered(self) -> int:
        """Return how many points of its own the server holds; blocks.

        A point has a value, a state, or both; all points of one measurement have the same one of them.
        """
        form = urlencode({"db": self._server.bucket, "q": "SELECT COUNT(value), COUNT(state) FROM /.*/"})
        with urlopen(f"{self._server.influxql_url}/query?{form}", timeout=_TIMEOUT_S) as answer:
            result: Json = json.loads(answer.read())["results"][0]
        if "error" in result:
            raise BenchError(f"the server refused to count: {result['error']}")
        return sum(max(filter(None, row[1:])) for series in result.get("series", []) for row in series["values"])

    def _connection(self) -> Json:
        server = self._server
        if self._api_version == "2":
            parts = urlsplit(server.url)
            return {
                "api_version": "2",
                "ssl": False,
                "host": parts.hostname,
                "port": parts.port,
                "token": server.token,
                "organization": server.org,
                "bucket": server.bucket,
            }
        parts = urlsplit(server.influxql_url)
        return {"api_version": "1", "ssl": False, "host": parts.hostname, "port": parts.port, "database": server.bucket}
