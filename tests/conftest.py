"""Give all tests the real servers.

The engine's tests run without Home Assistant, so nothing of it is imported here; ``tests/ha/conftest.py`` does that.
"""

from collections.abc import Iterator

import pytest

from tests.servers.face_process import FaceProcess, ServersUnavailableError


@pytest.fixture(scope="session")
def influx_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaceProcess]:
    """Run influxd 1.6.7 behind the v2 face for the whole session."""
    try:
        server = FaceProcess(tmp_path_factory.mktemp("influx"))
    except ServersUnavailableError as err:
        pytest.skip(str(err))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def influx(influx_server: FaceProcess, socket_enabled: None) -> Iterator[FaceProcess]:
    """Return the running server, with sockets allowed."""
    yield influx_server
    influx_server.behave()
