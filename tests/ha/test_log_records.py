"""Warnings and errors become events: once each, without secrets, and without our own."""

import json
import logging
import timeit

from custom_components.homeiq.adapters.log_records import LogDecoder, scrub
from custom_components.homeiq.engine.model import EventKind, Origin
from custom_components.homeiq.runtime import HomeIQConfigEntry
from homeassistant.components.diagnostics import REDACTED
from homeassistant.core import HomeAssistant
import pytest

from tests.ha.conftest import Stored, store_path


@pytest.mark.usefixtures("entry")
async def test_warnings_are_kept_once_scrubbed_and_without_our_own(hass: HomeAssistant, stored: Stored) -> None:
    logger = logging.getLogger("homeassistant.components.camera")
    for _ in range(5):
        logger.warning("Cannot reach rtsp://admin:p@ss-word@192.0.2.1/live: password=%s", "hunter2")
    logger.info("not of interest")
    logging.getLogger("custom_components.homeiq").error("our own")
    logging.getLogger("custom_components.homeiq.adapters").error("our own")
    logging.getLogger("custom_components.homeiq_other").error("somebody else's")
    events = await stored(kind=EventKind.LOG)
    told = [(event.name, json.loads(event.payload or "")) for event in events]
    assert [name for name, _ in told] == [logger.name, "custom_components.homeiq_other"]
    assert told[0][1] == {
        "level": "WARNING",
        "message": f"Cannot reach rtsp://{REDACTED}@192.0.2.1/live: password={REDACTED}",
    }
    assert {event.origin for event in events} == {Origin.SYSTEM}
    held = b"".join(file.read_bytes() for file in store_path(hass).parent.iterdir())
    assert [text for text in (b"hunter2", b"ss-word", b"our own") if text in held] == []


async def test_a_line_repeated_later_tells_how_often_it_came(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("custom_components.homeiq.adapters.log_records.time.monotonic", lambda: now)
    decoder = LogDecoder()
    record = logging.LogRecord("a.logger", logging.ERROR, __file__, 1, "same", None, None)
    first = decoder.decode(record)
    assert first is not None
    assert first.data == {"level": "ERROR", "message": "same"}
    assert [decoder.decode(record) for _ in range(3)] == [None] * 3
    now += 301
    again = decoder.decode(record)
    assert again is not None
    assert again.data == {"level": "ERROR", "message": "same", "repeated": 3}


def test_a_storm_of_different_lines_stays_bounded() -> None:
    decoder = LogDecoder()
    for number in range(3_000):
        assert decoder.decode(logging.LogRecord("a", logging.ERROR, "", 1, f"line {number}", None, None)) is not None
    assert len(decoder._seen) == 1_000


def test_a_line_that_cannot_be_formatted_is_kept_as_it_is() -> None:
    event = LogDecoder().decode(logging.LogRecord("a", logging.ERROR, "", 1, "%d apples\nand more", ("two",), None))
    assert event is not None
    assert event.data == {"level": "ERROR", "message": "%d apples"}


def test_what_is_no_record_is_refused() -> None:
    with pytest.raises(TypeError, match="not a log record"):
        LogDecoder().decode("text")


@pytest.mark.parametrize(
    "line",
    [
        "password: SECRET-x1",
        "'api_key': 'SECRET-x1'",
        '"password" : "SECRET-x1"',
        "Authorization: Basic SECRETx1==",
        "Authorization: Bearer SECRET-x1",
        "authorization=token SECRET-x1",
        "the password is SECRET-x1",
        "access_token=SECRETx1&other=1",
        "pwd=SECRETx1",
        "psk SECRETx1",
        "user_code: SECRETx1",
        "https://admin:SECRET@x1@192.0.2.1/",
        "https://SECRETx1@192.0.2.1/",
        "eyJSECRETx1abcdef.eyJSECRETx1.sig",
        "key SECRETx1SECRETx1SECRETx1SECRETx1SECRETx1",
        "'client_secret': 'SECRET-x1 SECRET-x1'",
        '{"api_key": "SECRET x1", "host": "here"}',
        "my-own_password: SECRET-x1",
        "passwort: SECRET-x1",
        'token="SECRET x1 and the quote is never closed',
    ],
)
def test_what_looks_like_a_secret_is_scrubbed(line: str) -> None:
    assert "SECRET" not in scrub(line)
    assert "x1" not in scrub(line)


@pytest.mark.parametrize("line", ["lat=51.5074, lon=-0.1278", "at 51.5074, -0.1278", "(51.5074;-0.1278)"])
def test_positions_in_lines_are_scrubbed(line: str) -> None:
    assert "5074" not in scrub(line)
    assert "1278" not in scrub(line)


@pytest.mark.parametrize("line", ["Timeout after 10.0 s, 3 retries", "light.kitchen is unavailable", "at 12:30:00"])
def test_an_ordinary_line_stays(line: str) -> None:
    assert scrub(line) == line


@pytest.mark.parametrize(
    "unit",
    [
        "a-",
        "ab",
        "a1-",
        "://",
        "://a",
        "eyJ",
        "-eyJabcdefghij",
        "password ",
        "token:'",
        "code",
        "1.111,",
        "9 ",
        "+",
        "lat ",
        "@",
    ],
)
def test_no_line_takes_long_to_scrub(unit: str) -> None:
    """Anybody can write a line into the log by failing to log in; these take 0.4 ms; a pattern that looks back takes 70."""
    line = (unit * 1_000)[:1_000]
    assert min(timeit.repeat(lambda: scrub(line), number=1, repeat=5)) < 0.01


async def test_no_handler_stays_on_the_root_logger(hass: HomeAssistant, entry: HomeIQConfigEntry) -> None:
    await hass.config_entries.async_unload(entry.entry_id)
    assert [handler for handler in logging.getLogger().handlers if "homeiq" in type(handler).__module__] == []
