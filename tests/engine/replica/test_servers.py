"""The servers that the replica is tested with are as strict as the ones in people's homes."""

from collections.abc import Mapping
import gzip
import json
from pathlib import Path
import subprocess
import sys
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest

from homeiq_engine.replica import InfluxSettings
from tests.servers import debian_servers
from tests.servers.debian_servers import (
    ServerStartError,
    ServersUnavailableError,
    VictoriaMetrics,
    server_binary,
)
from tests.servers.face_process import FaceProcess

pytestmark = pytest.mark.server


def _request(url: str, *, token: str = FaceProcess.token, body: bytes = b"", gzipped: bool = False) -> tuple[int, str]:
    headers = {"Authorization": f"Token {token}", **({"Content-Encoding": "gzip"} if gzipped else {})}
    try:
        with urlopen(Request(url, body or None, headers), timeout=10) as answer:  # noqa: S310
            return int(answer.status), answer.read().decode()
    except HTTPError as err:
        return err.code, err.read().decode()


def _write(influx: FaceProcess, body: bytes, params: Mapping[str, str]) -> tuple[int, str]:
    return _request(f"{influx.url}/api/v2/write?{urlencode(params)}", body=body)


@pytest.mark.parametrize(
    ("precision", "factor"), [("ns", 1), ("us", 1000), ("ms", 1_000_000), ("s", 1_000_000_000), (None, 1)]
)
def test_precisions_are_version_2s(
    settings: InfluxSettings, influx: FaceProcess, precision: str | None, factor: int
) -> None:
    """Microseconds, which influxd 1.6.7 would date wrongly under their v2 name, are dated right."""
    params = {"org": settings.org, "bucket": settings.bucket, **({"precision": precision} if precision else {})}

    assert _write(influx, b"m v=1 1700000", params) == (204, "")

    assert influx.points(settings.bucket) == [{"measurement": "m", "time": 1_700_000 * factor, "v": 1}]


@pytest.mark.parametrize(
    ("changes", "body", "refusal"),
    [
        ({"precision": "u"}, b"m v=1", (400, "invalid precision")),
        ({"org": ""}, b"m v=1", (400, "Please provide either orgID or org")),
        ({"bucket": ""}, b"m v=1", (400, "Please provide either bucketID or bucket")),
        ({}, b"no line", (400, "unable to parse 'no line'")),
        ({}, b"m v=1 1\nm v=1i 2", (422, "field type conflict")),
    ],
)
def test_a_bad_write_is_refused_in_version_2s_words(
    settings: InfluxSettings, influx: FaceProcess, changes: Mapping[str, str], body: bytes, refusal: tuple[int, str]
) -> None:
    """Errors are JSON with a code and a message, and influxd's own reasons are in it."""
    status, text = _write(influx, body, {"org": settings.org, "bucket": settings.bucket, **changes})

    said = json.loads(text)
    assert (status, set(said)) == (refusal[0], {"code", "message"})
    assert refusal[1] in said["message"]


def test_gzip_is_read_and_broken_gzip_is_refused(settings: InfluxSettings, influx: FaceProcess) -> None:
    """Influxd's own decoder does both."""
    url = f"{influx.url}/api/v2/write?{urlencode({'org': settings.org, 'bucket': settings.bucket})}"

    assert _request(url, body=gzip.compress(b"m v=1 1"), gzipped=True)[0] == 204
    assert _request(url, body=b"not gzip", gzipped=True)[0] == 400
    assert len(influx.points(settings.bucket)) == 1


@pytest.mark.parametrize("path", ["buckets", "orgs", "write", "delete"])
def test_a_stranger_gets_nowhere(influx: FaceProcess, path: str) -> None:
    """Every API but the health check asks for a token."""
    body = b"{}" if path in {"write", "delete"} else b""

    assert _request(f"{influx.url}/api/v2/{path}", token="stranger", body=body)[0] == 401


def test_health_and_ping_need_no_token(influx: FaceProcess) -> None:
    """As with the real one."""
    assert json.loads(_request(f"{influx.url}/health", token="")[1])["status"] == "pass"
    assert _request(f"{influx.url}/ping", token="")[0] == 204


def test_buckets_and_organisations_can_be_looked_up(settings: InfluxSettings, influx: FaceProcess) -> None:
    """A bucket is found by name, a missing one is not in the list."""
    found = json.loads(_request(f"{influx.url}/api/v2/buckets?name={settings.bucket}")[1])["buckets"]
    missing = json.loads(_request(f"{influx.url}/api/v2/buckets?name=missing")[1])["buckets"]
    orgs = json.loads(_request(f"{influx.url}/api/v2/orgs?org=home")[1])["orgs"]

    assert ([bucket["name"] for bucket in found], missing, [org["name"] for org in orgs]) == (
        [settings.bucket],
        [],
        ["home"],
    )


@pytest.mark.parametrize(
    ("predicate", "left"),
    [
        ('t="a"', {"b", "c d"}),
        ('t="c d" AND u="1"', {"a", "b"}),
        ('_measurement="m" AND t="b"', {"a", "c d"}),
        ('_measurement="other"', {"a", "b", "c d"}),
        ("", set()),
    ],
)
def test_deleting_follows_the_predicate(
    settings: InfluxSettings, influx: FaceProcess, predicate: str, left: set[str]
) -> None:
    """Tags, measurement and both together choose what goes."""
    params = {"org": settings.org, "bucket": settings.bucket}
    _write(influx, b"m,t=a,u=1 v=1 1\nm,t=b,u=1 v=1 2\nm,t=c\\ d,u=1 v=1 3", params)
    wanted = {"start": "1970-01-01T00:00:00Z", "stop": "2200-01-01T00:00:00Z", "predicate": predicate}

    status, _ = _request(f"{influx.url}/api/v2/delete?{urlencode(params)}", body=json.dumps(wanted).encode())

    assert status == 204
    assert {point["t"] for point in influx.points(settings.bucket)} == left


@pytest.mark.parametrize("predicate", ["t=a", 't="a" OR u="1"', 't="a'])
def test_a_predicate_that_is_none_deletes_nothing(
    settings: InfluxSettings, influx: FaceProcess, predicate: str
) -> None:
    """Version 2 knows equality and AND."""
    params = {"org": settings.org, "bucket": settings.bucket}
    _write(influx, b"m,t=a v=1 1", params)
    wanted = {"start": "1970-01-01T00:00:00Z", "stop": "2200-01-01T00:00:00Z", "predicate": predicate}

    status, _ = _request(f"{influx.url}/api/v2/delete?{urlencode(params)}", body=json.dumps(wanted).encode())

    assert (status, len(influx.points(settings.bucket))) == (400, 1)


def test_the_program_ends_with_its_stdin_and_leaves_no_influxd(tmp_path: Path, socket_enabled: None) -> None:
    """The demo holds the other end of stdin, so the servers cannot outlive it."""
    server = FaceProcess(tmp_path)
    server.start()
    url = server.influxql_url
    server.stop()

    with pytest.raises(OSError, match="refused"):
        _request(f"{url}/ping")


def test_the_program_says_why_it_cannot_start(tmp_path: Path) -> None:
    """A folder that is a file gives exit code 1 and one line on stderr."""
    (tmp_path / "file").write_text("")
    program = Path(debian_servers.__file__).with_name("influx_v2_face.py")

    done = subprocess.run(
        [sys.executable, str(program), "--json", "--dir", str(tmp_path / "file")],
        check=False, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL,
    )  # fmt: skip

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("cannot start: ")


def test_without_binaries_and_apt_it_is_said_that_there_is_no_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only then do the tests of real servers skip."""
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(ServersUnavailableError, match="no apt-get"):
        server_binary("influxd", tmp_path)


def test_a_server_whose_port_is_taken_does_not_start(
    tmp_path: Path, influx: FaceProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A given port is not silently exchanged for another; the process is not left behind."""
    monkeypatch.setattr(debian_servers, "_START_TIMEOUT_S", 10.0)
    taken = int(influx.influxql_url.rpartition(":")[2])
    server = _Picky(tmp_path, taken)

    with pytest.raises(ServerStartError, match="victoria-metrics did not start"):
        server.start()

    assert server.pid is None


class _Picky(VictoriaMetrics):
    """Be a VictoriaMetrics that is asked for something that an influxd on its port does not have."""

    ready_path = "/metrics/none"
