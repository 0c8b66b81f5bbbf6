"""Do the demo's run: start, onboard, set up, feed, measure, judge."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
import sys
import time
from typing import Any
from zoneinfo import ZoneInfo

from _hass_client import HassClient
from tests.engine.synth import demo_home, generate, read_ordonez_a

from . import habits, home_assistant, preserve
from .feed import Fed, evening_lines, live_lines, play, query
from .home_assistant import DemoError
from .options import Influx, Options
from .process import Hass, is_free
from .replica import count_points
from .workspace import TIME_ZONE, configure, lay_down_past

PAST_DAYS = 30
LIVE_DAYS = 10
_SEED = 20
_WAIT_S = 90.0
_BEGAN = time.monotonic()
_GOOD = """\
alias: Kitchen light on workday mornings
triggers:
  - trigger: time
    at: "06:40:00"
conditions:
  - condition: time
    weekday: [mon, tue, wed, thu, fri]
actions:
  - action: light.turn_on
    target:
      entity_id: light.kitchen
"""
_BAD = """\
alias: Names things that are not there
triggers:
  - trigger: state
    entity_id: binary_sensor.cellar_motion
    to: "on"
actions:
  - action: light.turn_onn
    target:
      entity_id: light.cellar
"""


@dataclass(slots=True, kw_only=True)
class Result:
    """Collect what the run showed; `reasons` says why it is not as it must be."""

    fed: Fed = field(default_factory=Fed)
    stats: Mapping[str, Any] = field(default_factory=dict)
    laid_down: Mapping[str, int] = field(default_factory=dict)
    past_stored: int | None = None
    replica: str = "none"
    replicated: int | None = None
    points: int | None = None
    counted: bool = False
    sensors: dict[str, str] = field(default_factory=dict)
    kept: preserve.Kept | None = None
    suggestions: list[Mapping[str, Any]] = field(default_factory=list)
    rejected: list[Mapping[str, Any]] = field(default_factory=list)
    days_observed: int | None = None
    hits: habits.Hits | None = None
    verdicts: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    version: str = ""
    seconds: float = 0.0
    reasons: list[str] = field(default_factory=list)

    def check(self, holds: bool, reason: str) -> None:
        """Remember a reason unless the condition holds."""
        if not holds:
            self.reasons.append(reason)


class Run:
    """Hold one run on one configuration folder."""

    def __init__(self, options: Options, folder: Path, port: int, influx: Influx | None, result: Result) -> None:
        """Take the folder, the port, and the replica if there is one; nothing starts yet."""
        self.options = options
        self._folder = folder
        self._influx = influx
        self._result = result
        self._home = demo_home()
        self._port = port
        self._today = datetime.now(ZoneInfo(TIME_ZONE)).date()
        self.client = HassClient(f"http://127.0.0.1:{port}")
        self._password = ""
        self._stopped = False
        self._began = datetime.now(UTC)
        self._hass: Hass | None = None

    def go(self) -> None:
        """Do everything up to the judgement; raises DemoError, HassApiError or CalledProcessError."""
        began = time.monotonic()
        self._start()
        entry_id = home_assistant.add_homeiq(self.client)
        if self._influx is not None:
            home_assistant.add_replica(self.client, entry_id, self._influx)
        log("HomeIQ is set up")
        self._wait_back_fill()
        if self.options.events:
            self._feed()
        self._measure()
        if self.options.events:
            self._keep()
            self._learn()
        self._validate()
        self._result.seconds = round(time.monotonic() - began, 1)

    def reached(self) -> dict[str, Any]:
        """Return where and how the home can be reached."""
        return {
            "url": self.client.base_url,
            "user": home_assistant.USER,
            "password": self._password,
            "token": self.client.token,
            "config": str(self._folder),
            "store": str(self._folder / "homeiq" / "homeiq.db"),
            "pid": None if self._hass is None else self._hass.pid,
        }

    def is_up(self) -> bool:
        """Return whether Home Assistant runs."""
        return self._hass is not None and self._hass.exit_code() is None

    def wait(self) -> None:
        """Wait until Home Assistant ends by itself."""
        if self._hass is not None:
            self._hass.wait()

    def read_log(self) -> None:
        """Hold what the log says against HomeIQ against the result."""
        if self._hass is not None:
            self._result.reasons += [f"log: {line}" for line in self._hass.complaints()]

    def stop(self, *, judged: bool = True) -> None:
        """Stop Home Assistant once, and judge its exit code and its log."""
        if self._hass is None or self._stopped:
            return
        self._stopped = True
        self.client.close()
        code = self._hass.stop()
        if not judged:
            return
        self._result.check(code == 0, "Home Assistant had to be killed" if code is None else f"exit code {code}")
        self._result.reasons[:] = [reason for reason in self._result.reasons if not reason.startswith("log: ")]
        self.read_log()

    def _start(self) -> None:
        if not is_free(self._port):
            raise DemoError(f"port {self._port} of 127.0.0.1 is taken")
        configure(self._folder, self._home, self._port)
        if self.options.events:
            first = self._today - timedelta(days=PAST_DAYS)
            self._result.laid_down = lay_down_past(self._folder, first, PAST_DAYS, _SEED)
            log(f"{PAST_DAYS} past days laid down: {self._result.laid_down}")
        self._began = datetime.now(UTC)
        self._hass = Hass(self._folder)
        home_assistant.wait_started(self._hass, self.client)
        self._password = home_assistant.onboard(self.client)
        home_assistant.wait_started(self._hass, self.client, running=True)
        self._result.version = self.client.get("/api/config")["version"]
        log(f"Home Assistant {self._result.version} is up at {self.client.base_url}, process {self._hass.pid}")

    def _wait_back_fill(self) -> None:
        """Wait for the back-fill and compare: states and acts of before the start, no system events."""
        result = self._result
        stats = self._until(
            lambda now: now["backfill"]["state"] not in ("waiting", "running"), "the back-fill did not end"
        )
        log(f"back-fill: {stats['backfill']}")
        result.check(stats["backfill"]["state"] == "done", f"the back-fill ended as {stats['backfill']}")
        if self.options.events:
            result.past_stored = sum(1 for _ in query(self.client, end=self._began.isoformat()))
            laid_down = result.laid_down["states"] + result.laid_down["acts"]
            result.check(
                result.past_stored == laid_down, f"of {laid_down} past events {result.past_stored} are in the store"
            )

    def _feed(self) -> None:
        user_id = self.client.ws_command("auth/current_user")["id"]
        fed, home = self._result.fed, self._home
        ahead = generate(home, self._today, LIVE_DAYS, ZoneInfo(TIME_ZONE), _SEED)
        for name, lines in (
            ("ordonez_a", live_lines(home, read_ordonez_a(), user_id)),
            ("home", live_lines(home, ahead, user_id)),
            ("evening", evening_lines(user_id)),
        ):
            play(self.client, self._folder, name, lines, fed)
            log(f"{name}: {fed.sent} events sent so far, {fed.stored} stored")
        check = self._result.check
        check(fed.sent > 0, "no event was sent")
        check(fed.stored == fed.sent, f"{fed.sent} events were sent and {fed.stored} stored")
        check(not fed.missing, f"not in the store, for example: {fed.missing}")
        check(not fed.unexpected, f"in the store but never sent, for example: {fed.unexpected}")

    def _measure(self) -> None:
        result = self._result
        if self._influx is not None:
            self._replicate(self._influx)
        result.stats = home_assistant.stats(self.client)
        result.check(result.stats["lost"] == 0, f"{result.stats['lost']} events were lost")
        # The sensors are read once a minute by themselves; nobody has to wait for that.
        own = self._own_entities()
        self.client.call_service("homeassistant", "update_entity", {"entity_id": sorted(own)})
        deadline = time.monotonic() + _WAIT_S
        while not (settled := self._read_sensors(own, result.stats["stored"])) and time.monotonic() < deadline:
            time.sleep(0.5)
        result.check(bool(result.sensors), "HomeIQ has no sensors")
        result.check(settled, f"the sensors do not show what is stored: {result.sensors}")
        problems = [name for name, state in result.sensors.items() if state in ("unavailable", "unknown")]
        result.check(not problems or not self.options.events, f"without a value: {', '.join(problems)}")

    def _own_entities(self) -> set[str]:
        """Return the ids of HomeIQ's entities, those of its replicas included."""
        registry = self.client.ws_command("config/entity_registry/list")
        return {entity["entity_id"] for entity in registry if entity["platform"] == "homeiq"}

    def _read_sensors(self, own: set[str], stored: int) -> bool:
        """Read HomeIQ's entities as Home Assistant reports them; return whether they have caught up."""
        self._result.sensors = {
            state["entity_id"]: state["state"] for state in self.client.states() if state["entity_id"] in own
        }
        lifetime = self._result.sensors.get("sensor.homeiq_lifetime_events", "")
        return lifetime.isdecimal() and int(lifetime) >= stored

    def _replicate(self, influx: Influx) -> None:
        """Wait until the replica has caught up and compare the whole store with what the server holds."""
        result = self._result

        def caught_up(now: Mapping[str, Any]) -> bool:
            return bool(now["replicas"]) and all(replica["lag_events"] == 0 for replica in now["replicas"].values())

        deadline = time.monotonic() + _WAIT_S
        while True:
            before = self._until(caught_up, "the replica did not catch up")
            points = count_points(influx)
            # The sun goes on moving: only a count between two equal sums is a fair one.
            if home_assistant.stats(self.client)["stored"] == before["stored"] or time.monotonic() > deadline:
                break
        sent = sum(replica["sent"] for replica in before["replicas"].values())
        result.points, result.counted = (sent, False) if points is None else (points, True)
        missing = before["stored"] - result.points
        result.replicated = max(0, result.fed.stored - max(0, missing))
        log(f"replica: {before['stored']} events stored, {sent} acknowledged, {points or 'no'} points counted there")
        result.check(missing == 0, f"{before['stored']} events are stored and the replica holds {result.points}")
        result.check(result.replicated == result.fed.stored, f"{result.replicated} of the events fed are replicated")

    def _keep(self) -> None:
        """Export everything, bring it in again, and ask for the roll-ups of all days."""
        result = self._result
        before = home_assistant.stats(self.client)["held"]
        kept = result.kept = preserve.keep(self.client)
        result.check(kept.exported >= before, f"{before} events are held and {kept.exported} were exported")
        result.check(kept.stored_again == 0, f"{kept.stored_again} exported events were stored a second time")
        result.check(kept.known == kept.exported, f"of {kept.exported} exported events {kept.known} are known again")
        result.check(kept.days > 0, "no day has a roll-up")
        log(f"kept: {kept.exported} events exported and known again, {kept.days} roll-ups by day")

    def _learn(self) -> None:
        result = self._result
        answer = self.client.call_service(
            "homeiq", "generate_suggestions", {"days": PAST_DAYS}, return_response=True, timeout=90
        )
        result.suggestions, result.rejected = answer["suggestions"], answer["rejected"]
        result.days_observed = answer["days_observed"]
        result.hits = habits.compare(self._home, result.suggestions)
        result.check(bool(result.hits.found), "no suggestion matches a planted habit")
        result.check(
            not result.hits.from_automations,
            f"suggestions learnt from automations: {', '.join(result.hits.from_automations)}",
        )

    def _validate(self) -> None:
        for name, text in (("good", _GOOD), ("bad", _BAD)):
            verdict = self.client.call_service("homeiq", "validate_automation", {"text": text}, return_response=True)
            self._result.verdicts[name] = verdict
            fits = (verdict["level"] == "blocked") is (name == "bad")
            self._result.check(fits, f"the {name} automation was judged {verdict['level']}: {verdict['findings']}")

    def _until(self, holds: Callable[[Mapping[str, Any]], bool], failure: str) -> Mapping[str, Any]:
        """Return the statistics once they satisfy the condition; raise DemoError after 90 s."""
        deadline = time.monotonic() + _WAIT_S
        while not holds(stats := home_assistant.stats(self.client)):
            if time.monotonic() > deadline:
                raise DemoError(f"{failure}: {stats}")
            time.sleep(0.3)
        return stats


def log(text: str) -> None:
    """Say what is going on, on stderr, with the seconds since the program began."""
    sys.stderr.write(f"homeiq: {time.monotonic() - _BEGAN:5.1f} s  {text}\n")
    sys.stderr.flush()
