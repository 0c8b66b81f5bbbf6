"""Make the demo's configuration folder: YAML, the integration, the player, the home, and the recorder's past."""

from datetime import UTC, date, datetime
import json
from pathlib import Path
import shutil
import subprocess
import sys

from tests.engine.synth import Home

ROOT = Path(__file__).resolve().parents[2]
TIME_ZONE = "Europe/Madrid"
# More than the days laid down: the recorder purges older ones at night.
_KEEP_DAYS = 40
_LAYDOWN_S = 60


def configure(folder: Path, home: Home, port: int) -> None:
    """Write everything Home Assistant reads at start."""
    (folder / "configuration.yaml").write_text(_CONFIGURATION.format(tz=TIME_ZONE, keep=_KEEP_DAYS))
    # JSON is YAML.
    (folder / "automations.yaml").write_text(
        json.dumps([automation.config for automation in home.automations], indent=2)
    )
    components = folder / "custom_components"
    components.mkdir()
    (components / "homeiq").symlink_to(ROOT / "custom_components" / "homeiq", target_is_directory=True)
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(__file__).parent / "player", components / "homeiq_demo", ignore=ignore)
    player = folder / "homeiq_demo"
    player.mkdir()
    (player / "home.json").write_text(
        json.dumps(
            [
                {
                    "entity_id": thing.entity_id,
                    "name": thing.name,
                    "area": thing.area,
                    "initial": thing.initial,
                    "attributes": thing.attributes,
                }
                for thing in home.things
            ]
        )
    )
    storage = folder / ".storage"
    storage.mkdir()
    # The step core_config starts the flows of met, radio_browser and others, which fetch packages from the network.
    # It is marked as done: time zone and place stand in configuration.yaml. All other steps go over the API.
    _write_storage(storage, "onboarding", (4, 1), {"done": ["core_config"]})
    # Home Assistant takes other HTTP settings on trial: unless a person confirms them within five minutes, it restarts
    # on its default port. So the demo's are laid down as confirmed ones.
    http = {
        "server_host": ["127.0.0.1"],
        "server_port": port,
        "cors_allowed_origins": [],
        "login_attempts_threshold": -1,
        "ip_ban_enabled": True,
        "ssl_profile": "modern",
        "use_x_frame_options": True,
        "created_at": datetime.now(UTC).isoformat(),
        "error": None,
        "error_message": None,
    }
    _write_storage(storage, "http", (2, 2), {"stable": http, "pending": None, "yaml_migration_done": True})


def _write_storage(storage: Path, key: str, version: tuple[int, int], data: dict[str, object]) -> None:
    document = {"version": version[0], "minor_version": version[1], "key": key, "data": data}
    (storage / key).write_text(json.dumps(document))


def lay_down_past(folder: Path, first_day: date, days: int, seed: int) -> dict[str, int]:
    """Write the recorder's database of past days; return how many states, acts and system events are in it.

    Raises subprocess.CalledProcessError or TimeoutExpired.
    """
    program = Path(__file__).with_name("laydown.py")
    command = [sys.executable, str(program), "--db", str(folder / "home-assistant_v2.db")]
    command += ["--first-day", first_day.isoformat(), "--days", str(days), "--tz", TIME_ZONE, "--seed", str(seed)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=_LAYDOWN_S)
    written: dict[str, int] = json.loads(done.stdout)
    return written


_CONFIGURATION = """\
homeassistant:
  name: HomeIQ demo
  time_zone: {tz}
  latitude: 40.4
  longitude: -3.7
  elevation: 650
  unit_system: metric
  currency: EUR
  country: ES
api:
websocket_api:
config:
frontend:
onboarding:
recorder:
  purge_keep_days: {keep}
  commit_interval: 1
sun:
system_health:
automation: !include automations.yaml
script:
  good_night:
    alias: Good night
    sequence:
      - action: scene.turn_on
        target: {{entity_id: scene.night}}
      - action: input_boolean.turn_on
        target: {{entity_id: input_boolean.night_mode}}
scene:
  - name: Night
    entities:
      light.kitchen: "off"
      light.living_room: "off"
input_boolean:
  night_mode:
    name: Night mode
input_number:
  heating_target:
    name: Heating target
    min: 15
    max: 25
input_select:
  house_mode:
    name: House mode
    options: [day, night, away]
input_text:
  note:
    name: Note
input_datetime:
  alarm:
    name: Alarm
    has_time: true
input_button:
  doorbell:
    name: Doorbell
homeiq_demo:
"""
