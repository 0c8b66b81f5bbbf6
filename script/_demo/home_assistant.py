"""Bring Home Assistant up, onboard it and add HomeIQ, all over its own HTTP API."""

import secrets
import time
from typing import Any

from _hass_client import HassApiError, HassClient

from .options import Influx
from .process import Hass

USER = "homeiq"
_START_S = 90.0


class DemoError(Exception):
    """Report why the demo cannot go on."""


def wait_started(hass: Hass, client: HassClient, *, running: bool = False) -> None:
    """Wait until the API answers (with `running`: until start-up is over); raise DemoError if the process ends."""
    deadline = time.monotonic() + _START_S
    while True:
        if (code := hass.exit_code()) is not None:
            raise DemoError(f"Home Assistant ended with exit code {code} during start-up\n{hass.tail()}")
        try:
            client.wait_ready(2.0, running=running)
        except HassApiError as err:
            if time.monotonic() > deadline:
                raise DemoError(f"{err}\n{hass.tail()}") from err
        else:
            return


def onboard(client: HassClient) -> str:
    """Create the owner and finish onboarding; return the password. The step core_config is done beforehand."""
    password = secrets.token_urlsafe(12)
    client.onboard(name="HomeIQ demo", username=USER, password=password, steps=("analytics", "integration"))
    left = [step for step, done in client.onboarding().items() if not done]
    if left:
        raise DemoError(f"onboarding is not finished: {', '.join(left)}")
    return password


def add_homeiq(client: HassClient) -> str:
    """Add HomeIQ through its config flow and return the entry's id once it is loaded."""
    step = client.start_flow("homeiq")
    _expect(step, "form", "homeiq's config flow")
    _expect(client.submit_flow(step["flow_id"], {}), "create_entry", "homeiq's config flow")
    entry_id: str = client.wait_entry_loaded("homeiq")["entry_id"]
    return entry_id


def add_replica(client: HassClient, entry_id: str, influx: Influx) -> None:
    """Add an InfluxDB connection through the subentry flow, which tests it."""
    step = client.start_subentry_flow(entry_id, "influxdb")
    answers: dict[str, dict[str, Any]] = {
        "user": {"url": influx.url, "token": influx.token, "verify_ssl": influx.url.startswith("https:")},
        "bucket": {"org": influx.org, "bucket": influx.bucket},
        "settings": {},
    }
    for step_id, answer in answers.items():
        _expect(step, "form", "the InfluxDB flow")
        if step.get("step_id") != step_id:
            raise DemoError(f"the InfluxDB flow is at {step.get('step_id')}, not at {step_id}: {step.get('errors')}")
        step = client.submit_subentry_flow(step["flow_id"], answer)
    _expect(step, "create_entry", "the InfluxDB flow")


def stats(client: HassClient) -> dict[str, Any]:
    """Return the answer of `homeiq.stats`."""
    answer: dict[str, Any] = client.call_service("homeiq", "stats", {}, return_response=True)
    return answer


def _expect(step: dict[str, Any], kind: str, where: str) -> None:
    if step.get("type") != kind:
        raise DemoError(f"{where} answered {step.get('type')}: {step.get('errors') or step.get('reason') or step}")
