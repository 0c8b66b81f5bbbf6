"""The recorder's past comes into the store once, with who caused it, through the same filter, and goes on after a stop."""

import asyncio
import time
from typing import Any
from unittest.mock import patch

from custom_components.homeiq.adapters import backfill as backfill_module, history as history_module
from custom_components.homeiq.adapters.backfill import HistoryError
from custom_components.homeiq.adapters.history import RecorderHistory
from custom_components.homeiq.engine.model import Event, EventKind, EventQuery, Origin, StoreError
from custom_components.homeiq.runtime import HomeIQConfigEntry
from homeassistant.auth.models import User
from homeassistant.components.recorder import Recorder
from homeassistant.components.recorder.db_schema import States
from homeassistant.core import Context, HomeAssistant, ServiceCall
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.components.recorder.common import async_wait_recording_done
from sqlalchemy.exc import OperationalError

from tests.ha.conftest import EntryOf

HOUR = 3_600.0
LAMP = "input_boolean.lamp"


@pytest.fixture
def mock_recorder_before_hass(async_test_recorder: object) -> None:
    """Prepare the recorder before Home Assistant, as it asks for."""


@pytest.fixture
async def recorder(recorder_mock: Recorder, hass: HomeAssistant) -> Recorder:
    """Return a real recorder, with helpers and an automation that it records."""
    automation = {
        "id": "follow",
        "alias": "Follow",
        "triggers": [{"trigger": "state", "entity_id": "input_boolean.trigger", "to": "on"}],
        "actions": [{"action": "input_boolean.turn_on", "target": {"entity_id": LAMP}}],
    }
    helpers: dict[str, Any] = {"lamp": {}, "trigger": {}}
    assert await async_setup_component(hass, "input_boolean", {"input_boolean": helpers})
    assert await async_setup_component(hass, "automation", {"automation": [automation]})
    await hass.async_block_till_done()
    return recorder_mock


async def _do_nothing(call: ServiceCall) -> None:
    """Be a service without an effect."""


async def _finished(entry: HomeIQConfigEntry) -> None:
    """Wait until the back-fill is at its end."""
    async with asyncio.timeout(60):
        while entry.runtime_data.backfill.progress.state in ("waiting", "running"):
            await asyncio.sleep(0.02)
    task = entry.runtime_data.backfill_task
    assert task is not None
    await task


async def _events(entry: HomeIQConfigEntry, entity_id: str | None = None) -> list[Event]:
    await entry.runtime_data.pipeline.flush()
    query = EventQuery(entity_ids=None if entity_id is None else (entity_id,), limit=10_000)
    return list((await entry.runtime_data.store.query(query)).events)


async def test_the_past_is_stored_with_its_causes(
    hass: HomeAssistant, recorder: Recorder, hass_admin_user: User, entry_of: EntryOf
) -> None:
    """A user's act, an automation's and a device's are told apart; values, units and durations are there."""
    began = time.time() - 30 * HOUR
    for number, state in enumerate(("20.5", "21.5")):
        attributes = {"unit_of_measurement": "°C", "device_class": "temperature"}
        hass.states.async_set("sensor.warm", state, attributes, timestamp=began + number * 60)
    user = Context(user_id=hass_admin_user.id)
    await hass.services.async_call("input_boolean", "turn_on", {"entity_id": LAMP}, blocking=True, context=user)
    await hass.services.async_call("input_boolean", "turn_off", {"entity_id": LAMP}, blocking=True, context=user)
    await hass.services.async_call(
        "input_boolean", "turn_on", {"entity_id": "input_boolean.trigger"}, blocking=True, context=user
    )
    await async_wait_recording_done(hass)

    entry = await entry_of(hass)
    await _finished(entry)

    assert entry.runtime_data.backfill.progress.state == "done"
    (first, second) = await _events(entry, "sensor.warm")
    assert first.time_us == round(began * 1_000_000)
    assert (second.value, second.old_state, second.held_us) == (21.5, "20.5", 60_000_000)
    assert (second.facts.unit, second.facts.device_class, second.origin) == ("°C", "temperature", Origin.DEVICE)
    lamp = [(event.state, event.origin, event.responsible) for event in await _events(entry, LAMP)]
    assert lamp[1:] == [
        ("on", Origin.USER, user.user_id),
        ("off", Origin.USER, user.user_id),
        ("on", Origin.AUTOMATION, "automation.follow"),
    ]
    kinds = {event.kind for event in await _events(entry)}
    assert {EventKind.CALL, EventKind.AUTOMATION, EventKind.STATE} <= kinds
    stats = await entry.runtime_data.store.stats()
    assert stats.counters["stored"] == len(await _events(entry))
    assert entry.runtime_data.backfill.progress.events == stats.counters["stored"]
    lifetime = hass.states.get("sensor.homeiq_lifetime_events")
    assert lifetime is not None
    assert int(lifetime.state) == stats.counters["stored"]


async def test_a_state_reported_anew_in_the_past_is_stored_and_a_change_of_attributes_is_not(
    hass: HomeAssistant, recorder: Recorder, entry_of: EntryOf
) -> None:
    began = time.time() - 30 * HOUR
    hass.states.async_set("sensor.button", "single", {"battery": 90}, timestamp=began)
    hass.states.async_set("sensor.button", "single", {"battery": 89}, timestamp=began + 60)
    hass.states.async_set("sensor.button", "single", {"battery": 89}, force_update=True, timestamp=began + 120)
    await async_wait_recording_done(hass)

    entry = await entry_of(hass)
    await _finished(entry)

    events = await _events(entry, "sensor.button")
    assert [event.time_us - round(began * 1_000_000) for event in events] == [0, 120_000_000]


@pytest.mark.parametrize("gone", [False, True])
async def test_the_past_is_read_again_into_a_store_that_was_begun_anew(
    hass: HomeAssistant, recorder: Recorder, entry_of: EntryOf, gone: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Whether the file was damaged or deleted while all ran: what the recorder still holds comes back by itself."""
    began = time.time() - 30 * HOUR
    for number in range(50):
        hass.states.async_set("sensor.warm", str(number), timestamp=began + number)
    await async_wait_recording_done(hass)
    entry = await entry_of(hass)
    await _finished(entry)
    store = entry.runtime_data.store
    assert len(await _events(entry, "sensor.warm")) == 50
    if gone:
        await hass.async_add_executor_job(store.path.unlink)
    else:
        await store._drop_writer()
        await hass.async_add_executor_job(store.path.write_bytes, b"no database at all" * 1_000)

    hass.states.async_set("sensor.warm", "now")
    await entry.runtime_data.pipeline.flush()
    await hass.async_block_till_done()
    await _finished(entry)

    states = [event.state for event in await _events(entry, "sensor.warm")]
    assert states == [*map(str, range(50)), "now"]
    assert "A new, empty store was begun" in caplog.text


async def test_what_was_heard_live_is_not_stored_twice(
    hass: HomeAssistant, recorder: Recorder, hass_admin_user: User, entry_of: EntryOf
) -> None:
    """Recorder and bus tell of the same states, calls and runs; each is one event."""
    with patch.object(backfill_module, "start") as start:
        start.async_at_started.return_value = lambda: None
        entry = await entry_of(hass)
        user = Context(user_id=hass_admin_user.id)
        for number in range(5):
            hass.states.async_set("sensor.live", str(number))
        await hass.services.async_call(
            "input_boolean", "turn_on", {"entity_id": "input_boolean.trigger"}, blocking=True, context=user
        )
        await async_wait_recording_done(hass)
        (_, called) = start.async_at_started.call_args.args
        await called(hass)
    await _finished(entry)
    live = await _events(entry, "sensor.live")
    assert [event.state for event in live] == ["0", "1", "2", "3", "4"]
    assert [event.name for event in await _events(entry) if event.kind is EventKind.CALL] == [
        "input_boolean.turn_on",
        "input_boolean.turn_on",
    ]
    assert len([event for event in await _events(entry) if event.kind is EventKind.AUTOMATION]) == 1
    assert (await entry.runtime_data.store.stats()).counters["duplicates"] >= 8


async def test_the_options_hold_for_the_past_too(hass: HomeAssistant, recorder: Recorder, entry_of: EntryOf) -> None:
    """The filter, the retention and our own entities; secrets and positions stay out as they do live."""
    now = time.time()
    hass.states.async_set("sensor.excluded", "1", timestamp=now - HOUR)
    hass.states.async_set("sensor.kept", "1", timestamp=now - HOUR)
    hass.states.async_set("sensor.ancient", "1", timestamp=now - 91 * 24 * HOUR)
    hass.states.async_set("device_tracker.phone", "home", {"latitude": 51.12345678}, timestamp=now - HOUR)
    hass.states.async_set("input_text.wifi", "hunter2", {"mode": "password"}, timestamp=now - HOUR)
    hass.states.async_set("input_text.wifi", "hunter3", {"mode": "password"}, timestamp=now - HOUR + 1)
    hass.states.async_remove("input_text.wifi")
    hass.services.async_register("lock", "unlock", _do_nothing)
    await hass.services.async_call("lock", "unlock", {"entity_id": "lock.door", "code": "86420975"}, blocking=True)
    hass.services.async_register("homeiq", "old_service", _do_nothing)
    await hass.services.async_call("homeiq", "old_service", {}, blocking=True)
    await async_wait_recording_done(hass)
    with patch.object(backfill_module, "start") as start:
        start.async_at_started.return_value = lambda: None
        entry = await entry_of(hass)
        hass.config_entries.async_update_entry(
            entry, options={**entry.options, "exclude": {"globs": ["sensor.excluded"]}}
        )
        await hass.async_block_till_done()
        await start.async_at_started.call_args.args[1](hass)
    await _finished(entry)
    events = await _events(entry)
    named = {event.entity_id for event in events}
    assert {"sensor.kept", "device_tracker.phone", "input_text.wifi"} <= named
    assert named.isdisjoint({"sensor.excluded", "sensor.ancient"})
    told = repr(events)
    assert [secret for secret in ("hunter", "86420975", "51.12345678", "old_service") if secret in told] == []
    assert ("lock.unlock", '{"code":"**REDACTED**","entity_id":"lock.door"}') in {
        (event.name, event.payload) for event in events
    }


async def test_an_interrupted_back_fill_goes_on_where_it_was(
    hass: HomeAssistant, recorder: Recorder, entry_of: EntryOf
) -> None:
    """Windows that are done are not read again, and nothing is missing or double at the end."""
    now = time.time()
    for hour in range(12):
        hass.states.async_set(f"sensor.h{hour}", "1", timestamp=now - hour * HOUR - 60)
    await async_wait_recording_done(hass)
    read: list[tuple[float, float]] = []
    real = RecorderHistory.async_read
    gate = asyncio.Event()

    async def reading(history: RecorderHistory, start: float, end: float) -> Any:
        read.append((start, end))
        if len(read) == 5:
            gate.set()
            await asyncio.sleep(60)
        return await real(history, start, end)

    with patch.object(RecorderHistory, "async_read", reading):
        entry = await entry_of(hass)
        await asyncio.wait_for(gate.wait(), 30)
        await hass.config_entries.async_unload(entry.entry_id)
    done = read[:4]
    read.clear()
    with patch.object(RecorderHistory, "async_read", reading):
        await hass.config_entries.async_setup(entry.entry_id)
        read.extend([(0.0, 0.0)] * 5)
        await _finished(entry)
    again = [window for window in read if window != (0.0, 0.0)]
    # First the seconds in which it was not there, then on from the window that was not finished.
    missed = [window for window in again if window[1] > now]
    assert [end - start < 60 for start, end in missed] == [True]
    assert max(end for _, end in again if end <= now) == done[-1][0]
    events = await _events(entry)
    hours = sorted(event.entity_id for event in events if event.entity_id and event.entity_id.startswith("sensor.h"))
    assert hours == sorted(f"sensor.h{hour}" for hour in range(12))


async def test_the_windows_follow_what_they_hold(
    hass: HomeAssistant, recorder: Recorder, entry_of: EntryOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A busy hour is read in small parts, what holds nothing is skipped; nothing is missing between them."""
    monkeypatch.setattr(backfill_module, "_FEW_ROWS", 3)
    monkeypatch.setattr(backfill_module, "_MANY_ROWS", 20)
    now = time.time()
    for number in range(600):
        hass.states.async_set("sensor.busy", str(number), timestamp=now - 2_000 + 3 * number)
    for number in range(30):
        hass.states.async_set("sensor.sparse", str(number), timestamp=now - 40_000 + 1_200 * number)
    for hours in (24, 24 * 80):
        hass.states.async_set("sensor.quiet", str(hours), timestamp=now - hours * HOUR)
    await async_wait_recording_done(hass)
    lengths: list[float] = []
    real = RecorderHistory.async_read

    async def reading(history: RecorderHistory, start: float, end: float) -> Any:
        lengths.append(round(end - start, 3))
        return await real(history, start, end)

    with patch.object(RecorderHistory, "async_read", reading):
        entry = await entry_of(hass)
        await _finished(entry)
    assert lengths[0] == 600
    assert min(lengths[:-1]) == 60
    assert max(lengths) == 3_600
    assert len(lengths) < 80
    assert [event.state for event in await _events(entry, "sensor.busy")] == [str(number) for number in range(600)]
    assert [event.state for event in await _events(entry, "sensor.sparse")] == [str(number) for number in range(30)]
    assert len(await _events(entry, "sensor.quiet")) == 2


async def test_a_finished_back_fill_is_not_repeated(hass: HomeAssistant, recorder: Recorder, entry_of: EntryOf) -> None:
    """At a later start only the seconds are read in which nobody listened."""
    now = time.time()
    for hour in range(3):
        hass.states.async_set(f"sensor.h{hour}", "1", timestamp=now - hour * HOUR - 60)
    entry = await entry_of(hass)
    await _finished(entry)
    hass.states.async_set("sensor.h0", "2")
    read: list[float] = []
    real = RecorderHistory.async_read

    async def reading(history: RecorderHistory, start: float, end: float) -> Any:
        read.append(end - start)
        return await real(history, start, end)

    with patch.object(RecorderHistory, "async_read", reading):
        await hass.config_entries.async_reload(entry.entry_id)
        await _finished(entry)
    assert [seconds < 60 for seconds in read] == [True]
    assert entry.runtime_data.backfill.progress.state == "done"
    assert entry.runtime_data.backfill.progress.events == 0


async def test_what_happened_while_nobody_listened_is_fetched_with_its_cause(
    hass: HomeAssistant, recorder: Recorder, hass_admin_user: User, entry_of: EntryOf
) -> None:
    """Also when the session that should have fetched it ended before it could."""
    entry = await entry_of(hass)
    await _finished(entry)
    hass.states.async_set("sensor.warm", "1")
    await hass.config_entries.async_unload(entry.entry_id)
    hass.states.async_set("sensor.warm", "2")
    user = Context(user_id=hass_admin_user.id)
    await hass.services.async_call("input_boolean", "turn_on", {"entity_id": LAMP}, blocking=True, context=user)
    await async_wait_recording_done(hass)

    with patch.object(RecorderHistory, "async_oldest", side_effect=HistoryError("busy")):
        await hass.config_entries.async_setup(entry.entry_id)
        hass.states.async_set("sensor.warm", "3")
        await entry.runtime_data.pipeline.flush()
        await hass.config_entries.async_unload(entry.entry_id)
    hass.states.async_set("sensor.warm", "4")
    await async_wait_recording_done(hass)
    await hass.config_entries.async_setup(entry.entry_id)
    await _finished(entry)

    assert [event.state for event in await _events(entry, "sensor.warm")] == ["1", "2", "3", "4"]
    lamp = (await _events(entry, LAMP))[-1]
    assert (lamp.state, lamp.origin, lamp.responsible) == ("on", Origin.USER, user.user_id)


async def test_what_is_heard_while_the_missed_is_fetched_is_not_stored_twice(
    hass: HomeAssistant, recorder: Recorder, entry_of: EntryOf
) -> None:
    entry = await entry_of(hass)
    await _finished(entry)
    hass.states.async_set("sensor.warm", "1")
    real = RecorderHistory.async_committed

    async def committed(history: RecorderHistory) -> None:
        hass.states.async_set("sensor.warm", "2")
        await real(history)

    with patch.object(RecorderHistory, "async_committed", committed):
        await hass.config_entries.async_reload(entry.entry_id)
        await _finished(entry)
    assert [event.state for event in await _events(entry, "sensor.warm")] == ["1", "2"]


@pytest.mark.parametrize(
    ("target", "error"),
    [
        (
            "custom_components.homeiq.adapters.history.RecorderHistory.async_oldest",
            HistoryError("the recorder is busy"),
        ),
        ("custom_components.homeiq.engine.store.Store.set_meta", StoreError("full", reason="disk_full")),
    ],
)
async def test_a_back_fill_that_cannot_go_on_waits_and_tries_again(
    hass: HomeAssistant,
    recorder: Recorder,
    entry_of: EntryOf,
    monkeypatch: pytest.MonkeyPatch,
    target: str,
    error: Exception,
) -> None:
    hass.states.async_set("sensor.past", "1", timestamp=time.time() - 60)
    await async_wait_recording_done(hass)
    monkeypatch.setattr(backfill_module, "_RETRY_S", 0.3)
    with patch(target, side_effect=error) as failing:
        entry = await entry_of(hass)
        async with asyncio.timeout(30):
            while not failing.called:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        assert entry.runtime_data.backfill.progress.state == "waiting"
    await _finished(entry)
    assert entry.runtime_data.backfill.progress.state == "done"
    assert len(await _events(entry, "sensor.past")) == 1


async def test_an_error_of_the_recorders_database_is_one_to_wait_for(
    hass: HomeAssistant, recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    history = RecorderHistory(hass)
    broken = OperationalError("SELECT", {}, Exception("database is locked"))
    with patch.object(history_module, "select", side_effect=broken), pytest.raises(HistoryError, match="locked"):
        await history.async_oldest()


async def test_an_empty_recorder_is_done_at_once(
    hass: HomeAssistant, recorder_mock: Recorder, entry_of: EntryOf
) -> None:
    with patch.object(RecorderHistory, "async_oldest", return_value=None):
        entry = await entry_of(hass)
        await _finished(entry)
    assert entry.runtime_data.backfill.progress.state == "done"
    assert entry.runtime_data.backfill.progress.events == 0


async def test_a_schema_that_is_not_known_is_not_read(
    hass: HomeAssistant, recorder_mock: Recorder, entry_of: EntryOf
) -> None:
    with patch.dict(history_module._NEEDED, {States: ("a_column_of_the_future",)}):
        entry = await entry_of(hass)
        await _finished(entry)
    assert entry.runtime_data.backfill.progress.state == "unknown_schema"


@pytest.mark.parametrize("user_input", [{"backfill": False}])
async def test_without_the_option_nothing_is_read(hass: HomeAssistant, recorder: Recorder, entry_of: EntryOf) -> None:
    hass.states.async_set("sensor.past", "1", timestamp=time.time() - 60)
    await async_wait_recording_done(hass)
    entry = await entry_of(hass)
    assert entry.runtime_data.backfill.progress.state == "off"
    assert await _events(entry, "sensor.past") == []


async def test_a_purged_entity_does_not_come_back_from_the_recorder(
    hass: HomeAssistant, recorder: Recorder, entry_of: EntryOf
) -> None:
    """Neither its states nor the calls that aim at it; and the store does not name it."""
    past = time.time() - 60
    hass.states.async_set("light.secret", "on", timestamp=past)
    hass.states.async_set("light.other", "on", timestamp=past)
    hass.services.async_register("light", "turn_on", _do_nothing)
    await hass.services.async_call("light", "turn_on", {"entity_id": ["light.secret"]}, blocking=True)
    await hass.services.async_call("light", "turn_on", {"entity_id": "light.other"}, blocking=True)
    await async_wait_recording_done(hass)
    with patch.object(backfill_module, "start") as start:
        start.async_at_started.return_value = lambda: None
        entry = await entry_of(hass)
        await hass.services.async_call(
            "homeiq", "purge_entity", {"entity_id": "light.secret"}, blocking=True, return_response=True
        )
        await start.async_at_started.call_args.args[1](hass)
    await _finished(entry)
    assert await _events(entry, "light.secret") == []
    assert len(await _events(entry, "light.other")) == 1
    assert "light.secret" not in repr(await _events(entry))


async def test_switching_the_back_fill_off_stops_it(hass: HomeAssistant, recorder: Recorder, entry_of: EntryOf) -> None:
    reading = asyncio.Event()

    async def hang(*args: object) -> None:
        reading.set()
        await asyncio.sleep(60)

    with patch.object(RecorderHistory, "async_read", hang):
        entry = await entry_of(hass)
        await asyncio.wait_for(reading.wait(), 30)
        task = entry.runtime_data.backfill_task
        assert task is not None
        hass.config_entries.async_update_entry(entry, data={"backfill": False})
        await hass.async_block_till_done()
    assert task.cancelled()
    assert entry.runtime_data.backfill.progress.state == "off"


@pytest.mark.parametrize("text", ["", None, "[1, 2]", "{broken", '"text"'])
def test_attributes_that_are_no_mapping_count_as_none(text: str | None) -> None:
    assert history_module._mapping(text) == {}
