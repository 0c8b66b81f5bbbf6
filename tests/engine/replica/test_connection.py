"""A connection that works is proven, and one that does not says in one word why."""

from dataclasses import replace
from pathlib import Path
import subprocess
import sys
import time

import pytest

from homeiq_engine.model import ReplicaError
from homeiq_engine.replica import InfluxError, InfluxSettings, Reason, check_connection
from homeiq_engine.replica._connection import _retry_after
from homeiq_engine.replica._delivery import Delivery
from tests.servers.debian_servers import free_port
from tests.servers.face_process import FaceProcess

pytestmark = pytest.mark.server


async def _failure(settings: InfluxSettings) -> InfluxError:
    with pytest.raises(InfluxError) as caught:
        await check_connection(settings)
    error: InfluxError = caught.value
    return error


async def test_a_good_connection_is_proven_by_a_point(settings: InfluxSettings, influx: FaceProcess) -> None:
    """The check ends without a word, and the bucket holds its point."""
    await check_connection(settings)

    (point,) = influx.points(settings.bucket)
    assert (point["measurement"], point["home"], point["connected"]) == ("homeiq_check", "flat 1", True)


async def test_the_check_needs_no_home_tag(settings: InfluxSettings, influx: FaceProcess) -> None:
    """An empty home writes no tag."""
    await check_connection(replace(settings, home=""))

    (point,) = influx.points(settings.bucket)
    assert "home" not in point


async def test_a_slash_at_the_end_of_the_url_does_no_harm(settings: InfluxSettings, influx: FaceProcess) -> None:
    """People paste URLs from their browser."""
    await check_connection(replace(settings, url=settings.url + "/"))

    assert len(influx.points(settings.bucket)) == 1


@pytest.mark.parametrize(
    ("changes", "reason", "status"),
    [
        ({"token": "wrong"}, Reason.INVALID_AUTH, 401),
        ({"token": FaceProcess.read_token}, Reason.NO_WRITE_ACCESS, 403),
        ({"bucket": "missing"}, Reason.BUCKET_NOT_FOUND, 404),
        ({"org": "strangers"}, Reason.BUCKET_NOT_FOUND, 404),
        ({"org": ""}, Reason.UNKNOWN, 400),
        ({"token": "line\nbreak"}, Reason.INVALID_AUTH, None),
        ({"token": "tökén"}, Reason.INVALID_AUTH, None),
    ],
    ids=["wrong token", "reader's token", "no bucket", "no such org", "empty org", "broken token", "token not ASCII"],
)
async def test_what_is_wrong_has_a_reason(
    settings: InfluxSettings, changes: dict[str, str], reason: Reason, status: int | None
) -> None:
    """Token, rights, bucket and organisation are told apart."""
    error = await _failure(replace(settings, **changes))

    assert (error.reason, error.status) == (reason, status)


def test_a_server_that_repeats_the_token_does_not_bring_it_into_a_message() -> None:
    settings = InfluxSettings(url="http://127.0.0.1:1", org="home", bucket="b", token="s3cret-t0ken")
    error = settings.error(Reason.INVALID_AUTH, "401: token s3cret-t0ken is not known")
    assert error.placeholders["error"] == "401: token **REDACTED** is not known"
    assert "s3cret" not in f"{error} {error!r} {error.placeholders}"


async def test_the_servers_words_are_passed_on_and_the_token_is_not(settings: InfluxSettings) -> None:
    """The form can show which organisation is missing; no text holds the token."""
    wrong = replace(settings, org="strangers", token=FaceProcess.token)

    error = await _failure(wrong)

    assert error.placeholders == {
        "url": settings.url,
        "org": "strangers",
        "bucket": settings.bucket,
        "error": '404: organization name "strangers" not found',
    }
    assert error.code == "replica"
    assert isinstance(error, ReplicaError)
    assert FaceProcess.token not in f"{error} {error!r} {error.placeholders} {wrong} {wrong!r}"


@pytest.mark.parametrize(
    "url",
    [
        "", "localhost:8086", "ftp://localhost", "http://", "http://:8086", "http://host:port", "http://host:99999",
        "http://user:pass@host", "http://host/?a=b", "http://host/#a", "http://ho st", "http://[::1", "http://host\n",
        "http://.example..:80", "http://" + "a" * 70 + ".example",
    ],
)  # fmt: skip
async def test_a_url_that_names_no_server_is_a_wrong_url(url: str) -> None:
    """No socket is opened for it: the test may not use any."""
    settings = InfluxSettings(url=url, org="home", bucket="homeiq", token="token")

    assert (await _failure(settings)).reason is Reason.INVALID_URL


async def test_a_port_where_nobody_listens_cannot_be_connected(settings: InfluxSettings) -> None:
    """The words are the network's, without object addresses."""
    error = await _failure(replace(settings, url=f"http://127.0.0.1:{free_port()}"))

    assert (error.reason, error.status) == (Reason.CANNOT_CONNECT, None)
    assert "refused" in error.placeholders["error"]
    assert "object at" not in str(error)


async def test_tls_against_a_plain_server_cannot_be_connected(settings: InfluxSettings) -> None:
    """A wrong scheme is told as the TLS trouble that it is."""
    error = await _failure(replace(settings, url=settings.url.replace("http:", "https:")))

    assert error.reason is Reason.CANNOT_CONNECT
    assert "SSL" in str(error)


async def test_tls_may_go_unverified(settings: InfluxSettings) -> None:
    """Without verification a plain server is still no TLS server."""
    error = await _failure(replace(settings, url=settings.url.replace("http:", "https:"), verify_ssl=False))

    assert error.reason is Reason.CANNOT_CONNECT


async def test_a_web_server_that_is_no_influxdb_is_a_wrong_url(settings: InfluxSettings, influx: FaceProcess) -> None:
    """A 404 without InfluxDB's words, here from a path that the server does not have, is no missing bucket."""
    error = await _failure(replace(settings, url=f"{influx.url}/some/where"))

    assert (error.reason, error.status) == (Reason.INVALID_URL, 404)


@pytest.mark.parametrize(
    ("answer", "reason", "words"),
    [
        ((200, "<html>Please log in</html>"), Reason.INVALID_URL, "the answer was 200"),
        ((301, ""), Reason.INVALID_URL, "301: Moved Permanently"),
        ((405, "[]"), Reason.INVALID_URL, "405: Method Not Allowed"),
        ((404, '{"error": "database not found"}'), Reason.BUCKET_NOT_FOUND, "404: database not found"),
        ((404, '{"neither": 1}'), Reason.INVALID_URL, "404: Not Found"),
        ((429, '{"message": "slow down"}'), Reason.UNKNOWN, "429: slow down"),
        ((500, '{"message": "' + "long " * 100 + '"}'), Reason.CANNOT_CONNECT, "long long"),
        ((503, ""), Reason.CANNOT_CONNECT, "503: Service Unavailable"),
    ],
)
async def test_answers_are_understood(
    settings: InfluxSettings, influx: FaceProcess, answer: tuple[int, str], reason: Reason, words: str
) -> None:
    """Only 204 is an acknowledgement; a login page that answers 200 must not pass for one."""
    status, body = answer
    influx.fail_writes(status, body=body)

    error = await _failure(settings)

    assert (error.reason, error.status) == (reason, status)
    assert words in error.placeholders["error"]
    assert len(error.placeholders["error"]) < 320


async def test_an_answer_that_is_no_text_is_an_error_like_others(settings: InfluxSettings, influx: FaceProcess) -> None:
    """Bytes that are not UTF-8 make the client raise something of its own."""
    influx.fail_writes(502, body="\xff\xfe")

    assert (await _failure(settings)).reason is Reason.UNKNOWN


async def test_a_server_that_hangs_cannot_be_connected(settings: InfluxSettings, influx: FaceProcess) -> None:
    """A request that is not answered fails after the timeout."""
    delivery = Delivery(settings, timeout_s=0.3)
    influx.freeze()
    started = time.monotonic()
    try:
        with pytest.raises(InfluxError) as caught:
            delivery.write(b"m v=1")
    finally:
        influx.thaw()
        delivery.close()

    assert caught.value.reason is Reason.CANNOT_CONNECT
    assert 0.2 < time.monotonic() - started < 2


def test_a_closed_connection_is_not_opened_again(settings: InfluxSettings) -> None:
    """After close every call fails, and closing twice does no harm."""
    delivery = Delivery(settings)
    delivery.write(b"m v=1")
    delivery.close()
    delivery.close()

    with pytest.raises(InfluxError, match="closed"):
        delivery.write(b"m v=1")


def test_lines_travel_compressed(settings: InfluxSettings, influx: FaceProcess) -> None:
    """Every write that the server sees is gzip, and smaller than the lines."""
    before = influx.stats()
    delivery = Delivery(settings)
    delivery.write(b"\n".join(b"m,t=some_entity v=%d %d" % (number, number) for number in range(1000)))
    delivery.close()

    after = influx.stats()

    assert after["gzipped"] - before["gzipped"] == after["writes"] - before["writes"] == 1
    assert after["bytes"] - before["bytes"] < 10_000


@pytest.mark.parametrize(
    ("retry", "date", "seconds"),
    [
        ("Tue, 24 Nov 2026 12:00:30 GMT", "Tue, 24 Nov 2026 12:00:00 GMT", 30.0),
        ("Tue, 24 Nov 2026 12:00:30 GMT", "Tue, 24 Nov 2026 12:01:00 GMT", None),
        ("Tue, 24 Nov 2026 12:00:30 GMT", None, None),
        ("Tue, 24 Nov 2026 12:00:30 GMT", "today", None),
    ],
)
def test_a_retry_after_that_is_a_time_counts_from_the_answers_date(
    retry: str, date: str | None, seconds: float | None
) -> None:
    """By the server's own clock, whatever this machine's says."""
    assert _retry_after(retry, date) == seconds


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("2", 2.0), ("0.5", 0.5), (None, None), ("", None), ("-1", None), ("nan", None), ("inf", None), ("soon", None)],
)
def test_retry_after_is_read_as_seconds(header: str | None, seconds: float | None) -> None:
    """What is no sensible number leaves it to the back-off."""
    assert _retry_after(header) == seconds


_AT_ONCE = """
import sys, threading
sys.path.insert(0, sys.argv[1])
from load import load_engine
load_engine()
from homeiq_engine.replica import InfluxSettings
from homeiq_engine.replica._delivery import Delivery
settings = InfluxSettings(url="http://127.0.0.1:1", org="home", bucket="b", token="t")
start, said = threading.Barrier(8), []
def use(number):
    delivery = Delivery(settings)
    start.wait()
    try:
        delivery.write(b"a b=1") if number % 2 else delivery.connection.ask("/health")
    except Exception as err:
        said.append(getattr(err, "reason", type(err).__name__))
threads = [threading.Thread(target=use, args=(number,)) for number in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(*sorted(set(map(str, said))), len(said))
"""


def test_replicas_that_begin_at_once_do_not_trip_over_the_import_of_the_client() -> None:
    """In a fresh interpreter, threads that need different parts of the client first all come to the network."""
    engine = Path(Delivery.__init__.__code__.co_filename).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", _AT_ONCE, str(engine)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout, done.stderr) == ("cannot_connect 8\n", "")
