"""A server tells what it is, gets a bucket if it has none, and is trusted by the certificate that the user gave."""

from collections.abc import Mapping
from dataclasses import replace
import json
from pathlib import Path

import pytest

from homeiq_engine.replica import (
    InfluxError,
    InfluxSettings,
    Reason,
    Server,
    check_connection,
    create_bucket,
    detect_server,
)
from tests.servers.certificates import make_tls
from tests.servers.debian_servers import VictoriaMetrics, free_port
from tests.servers.face_process import FaceProcess
from tests.servers.recorded import Reply, recorded

pytestmark = pytest.mark.server


def _settings(url: str, **more: object) -> InfluxSettings:
    return InfluxSettings(**({"url": url, "org": "home", "bucket": "homeiq", "token": "s3cret"} | more))


async def test_a_real_influxd_is_a_version_1(settings: InfluxSettings, influx: FaceProcess) -> None:
    """By itself and behind another address; no valid token is needed."""
    direct = _settings(influx.influxql_url)

    assert await detect_server(direct) is Server.INFLUXDB_1
    assert await detect_server(replace(settings, token="wrong")) is Server.INFLUXDB_1


async def test_a_real_victoria_metrics_is_one(victoria: VictoriaMetrics) -> None:
    """It takes version 2's writes, and keeps numbers only: the flow must know."""
    assert await detect_server(_settings(victoria.url)) is Server.VICTORIA_METRICS


@pytest.mark.parametrize(
    ("replies", "server"),
    [
        ({"GET /ping": Reply(204, "", {"X-Influxdb-Version": "v2.7.12", "X-Influxdb-Build": "OSS"})}, "influxdb_2"),
        ({"GET /ping": Reply(204, "", {"X-Influxdb-Version": "1.8.10", "X-Influxdb-Build": "OSS"})}, "influxdb_1"),
        ({"GET /ping": Reply(200, '{"version":"3.2.1","revision":"a"}', {"x-influxdb-build": "Core"})}, "influxdb_3"),
        ({"GET /ping": Reply(204, "", {"X-Influxdb-Build": "Cloud"})}, "influxdb_2"),
        ({"GET /ping": Reply(401, ""), "GET /health": Reply(200, '{"version":"v2.1.0"}')}, "influxdb_2"),
        ({"GET /ping": Reply(200, "pong"), "GET /health": Reply(200, "OK")}, "unknown"),
        ({"GET /ping": Reply(200, "[1]"), "GET /metrics": Reply(200, "vm_app_version 1")}, "victoria_metrics"),
        ({"GET /": Reply(200, "<html>My router</html>")}, "unknown"),
        ({}, "unknown"),
    ],
    ids=["2", "1.8", "3", "cloud", "2 with closed ping", "pong", "cluster", "router", "nothing"],
)
async def test_recorded_servers_are_told_apart(socket_enabled: None, replies: Mapping[str, Reply], server: str) -> None:
    """From headers and bodies as the servers' own documentation shows them."""
    with recorded(replies) as told:
        assert await detect_server(_settings(told.url)) == server


async def test_where_nothing_answers_no_server_is_detected(socket_enabled: None) -> None:
    """That is an error, not an unknown server."""
    with pytest.raises(InfluxError) as caught:
        await detect_server(_settings(f"http://127.0.0.1:{free_port()}"))

    assert caught.value.reason is Reason.CANNOT_CONNECT


@pytest.mark.parametrize(("retention_s", "duration"), [(None, "0s"), (7 * 86_400, "168h0m0s")])
async def test_a_missing_bucket_is_created_with_its_retention(
    settings: InfluxSettings, influx: FaceProcess, retention_s: int | None, duration: str
) -> None:
    """Over version 2's API; afterwards points can be written, and a second time is refused in the server's words."""
    wanted = replace(settings, bucket=f"{settings.bucket}-made")

    await create_bucket(wanted, retention_s)
    await check_connection(wanted)
    with pytest.raises(InfluxError, match="already exists"):
        await create_bucket(wanted, retention_s)

    (policy,) = influx.influxql("SHOW RETENTION POLICIES", wanted.bucket)
    assert policy["duration"] == duration


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"token": FaceProcess.read_token}, Reason.NO_WRITE_ACCESS),
        ({"token": "wrong"}, Reason.INVALID_AUTH),
        ({"org": "strangers"}, Reason.BUCKET_NOT_FOUND),
    ],
)
async def test_a_bucket_that_cannot_be_created_says_why(
    settings: InfluxSettings, influx: FaceProcess, changes: dict[str, str], reason: Reason
) -> None:
    """Rights, token and organisation are told apart."""
    with pytest.raises(InfluxError) as caught:
        await create_bucket(replace(settings, bucket="never", **changes), None)

    assert caught.value.reason is reason


@pytest.mark.parametrize(("retention_s", "duration"), [(None, "0s"), (3600, "1h0m0s")])
async def test_an_influxdb_1_gets_a_database(
    settings: InfluxSettings, influx: FaceProcess, retention_s: int | None, duration: str
) -> None:
    """A real influxd without an API for buckets is asked in InfluxQL; odd names are quoted."""
    wanted = _settings(influx.influxql_url, bucket=f"{settings.bucket} \"odd\" 'ünï' {retention_s}")

    await create_bucket(wanted, retention_s)

    (policy,) = influx.influxql("SHOW RETENTION POLICIES", wanted.bucket)
    assert policy["duration"] == duration


async def test_an_influxdb_1_that_refuses_says_why(influx: FaceProcess) -> None:
    """InfluxQL's refusal comes inside an answer of 200."""
    with pytest.raises(InfluxError, match="duration"):
        await create_bucket(_settings(influx.influxql_url, bucket="too-short"), 60)


async def test_an_influxdb_3_gets_a_database(socket_enabled: None) -> None:
    """Over its own API."""
    replies = {
        "GET /ping": Reply(200, '{"version":"3.2.1"}'),
        "POST /api/v3/configure/database": Reply(200, ""),
    }
    with recorded(replies) as told:
        await create_bucket(_settings(told.url), 3600)
        await create_bucket(_settings(told.url), None)

    bodies = [json.loads(asked.body) for asked in told.asked if asked.method == "POST"]
    assert bodies == [{"db": "homeiq", "retention_period": "3600s"}, {"db": "homeiq"}]
    assert told.asked[-1].headers["authorization"] == "Token s3cret"


async def test_a_victoria_metrics_needs_no_bucket(victoria: VictoriaMetrics) -> None:
    """Nothing is asked of it, nothing goes wrong."""
    await create_bucket(_settings(victoria.url), None)


async def test_an_own_authority_is_trusted_where_it_is_given(socket_enabled: None, tmp_path: Path) -> None:
    """With its certificate the server is, without it not; unless nothing is to be verified."""
    authority, context = make_tls(tmp_path)
    with recorded({"POST /api/v2/write": Reply(204)}, context) as told:
        await check_connection(_settings(told.url, ca_pem=authority))
        await check_connection(_settings(told.url, verify_ssl=False))
        await check_connection(_settings(told.url, verify_ssl=False, ca_pem=authority))
        with pytest.raises(InfluxError) as caught:
            await check_connection(_settings(told.url))

    assert caught.value.reason is Reason.CANNOT_CONNECT
    assert "CERTIFICATE_VERIFY_FAILED" in str(caught.value)


async def test_another_authority_is_not_trusted(socket_enabled: None, tmp_path: Path) -> None:
    """The given one takes the place of the system's, and signs for its own only."""
    (tmp_path / "other").mkdir()
    other, _ = make_tls(tmp_path / "other")
    _, context = make_tls(tmp_path)
    with recorded({"POST /api/v2/write": Reply(204)}, context) as told, pytest.raises(InfluxError) as caught:
        await check_connection(_settings(told.url, ca_pem=other))

    assert caught.value.reason is Reason.CANNOT_CONNECT


@pytest.mark.parametrize(
    "ca_pem",
    ["nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "ünï", " "],
    ids=["nonsense", "broken", "not ASCII", "blank"],
)
async def test_what_is_no_certificate_is_refused_before_any_request(ca_pem: str) -> None:
    """The reason is the certificate, and no socket is opened."""
    with pytest.raises(InfluxError) as caught:
        await check_connection(_settings("https://127.0.0.1:1", ca_pem=ca_pem))

    assert caught.value.reason is Reason.INVALID_CA


async def test_an_organization_that_is_not_listed_is_missing(socket_enabled: None) -> None:
    """Some servers answer with an empty list instead of 404."""
    replies = {
        "GET /ping": Reply(204, "", {"X-Influxdb-Version": "v2.7.12"}),
        "GET /api/v2/orgs": Reply(200, '{"orgs": []}', {"Content-Type": "application/json"}),
    }
    with recorded(replies) as told, pytest.raises(InfluxError, match="no organization home") as caught:
        await create_bucket(_settings(told.url), None)

    assert caught.value.reason is Reason.BUCKET_NOT_FOUND
