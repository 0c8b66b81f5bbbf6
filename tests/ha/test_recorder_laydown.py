"""A real Home Assistant takes the recorder database that the demo lays down as its own."""

from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
import sqlite3

import pytest

from _demo import home_assistant, workspace
from _demo.process import Hass, free_port
from _hass_client import HassClient
from tests.engine.synth import demo_home

_DAYS = 3


@pytest.mark.slow
def test_home_assistant_goes_on_with_the_database_laid_down(socket_enabled: None, tmp_path: Path) -> None:
    """It neither migrates, repairs nor sets it aside, keeps every row and its contexts, and records into it."""
    port = free_port()
    workspace.configure(tmp_path, demo_home(), port)
    first_day = datetime.now(UTC).date() - timedelta(days=_DAYS)
    written = workspace.lay_down_past(tmp_path, first_day, _DAYS, seed=1)
    began = datetime.now(UTC).timestamp()
    hass = Hass(tmp_path)
    try:
        with HassClient(f"http://127.0.0.1:{port}") as client:
            home_assistant.wait_started(hass, client)
            home_assistant.onboard(client)
            home_assistant.wait_started(hass, client, running=True)
            recorder = client.ws_command("recorder/info")
    finally:
        code = hass.stop()

    log = hass.log_path.read_text(encoding="utf-8")
    assert code == 0
    assert recorder["recording"]
    assert not recorder["migration_in_progress"]
    assert [line for line in log.splitlines() if "components.recorder" in line] == []
    assert list(tmp_path.glob("*.corrupt.*")) == []
    with closing(sqlite3.connect(tmp_path / "home-assistant_v2.db")) as database:
        past_states = "SELECT count(*) FROM states WHERE last_updated_ts < ?"
        assert database.execute(past_states, (began,)).fetchone() == (written["states"],)
        past_events = "SELECT count(*) FROM events WHERE time_fired_ts < ?"
        assert database.execute(past_events, (began,)).fetchone() == (written["acts"] + written["system"],)
        assert database.execute("SELECT count(*) FROM schema_changes").fetchone() == (1,)
        assert database.execute("SELECT count(*) FROM recorder_runs WHERE closed_incorrect").fetchone() == (0,)
        later = database.execute("SELECT count(*) FROM states WHERE last_updated_ts >= ?", (began,)).fetchone()
        assert later > (0,)


def test_acts_carry_the_context_of_who_caused_them(tmp_path: Path) -> None:
    """A user's change shares its call's context and user; an automation's change its trigger's, without a user."""
    workspace.lay_down_past(tmp_path, datetime.now(UTC).date() - timedelta(days=_DAYS), _DAYS, seed=1)
    with closing(sqlite3.connect(tmp_path / "home-assistant_v2.db")) as database:
        users = {bytes.fromhex(user) for user in demo_home().users}
        assert _causes(database, "light.living_room") == {("call_service", user) for user in _users(database)}
        assert set(_users(database)) < users
        assert _causes(database, "light.porch") == {("automation_triggered", None), ("call_service", None)}
        assert _causes(database, "binary_sensor.hall_motion") == {(None, None)}
        # The motion light's automation descends from the motion that set it off.
        orphans = """
            SELECT count(*) FROM states AS light JOIN states_meta ON states_meta.metadata_id = light.metadata_id
            LEFT JOIN states AS motion ON motion.context_id_bin = light.context_parent_id_bin
            WHERE states_meta.entity_id = 'light.hall' AND light.old_state_id IS NOT NULL AND motion.state_id IS NULL
        """
        assert database.execute(orphans).fetchone() == (0,)


def _causes(database: sqlite3.Connection, entity_id: str) -> set[tuple[str | None, bytes | None]]:
    """Return the kinds of event in the contexts of an entity's changes, each with the change's user."""
    query = """
        SELECT DISTINCT event_types.event_type, states.context_user_id_bin
        FROM states JOIN states_meta USING (metadata_id)
        LEFT JOIN events ON events.context_id_bin = states.context_id_bin
        LEFT JOIN event_types ON event_types.event_type_id = events.event_type_id
        WHERE states_meta.entity_id = ? AND old_state_id IS NOT NULL
    """
    return set(database.execute(query, (entity_id,)))


def _users(database: sqlite3.Connection) -> list[bytes]:
    query = """
        SELECT DISTINCT context_user_id_bin FROM states JOIN states_meta USING (metadata_id)
        WHERE states_meta.entity_id = 'light.living_room' AND old_state_id IS NOT NULL
    """
    return [user for (user,) in database.execute(query)]
