"""Set HomeIQ up in a fresh Home Assistant and see that it runs.

usage: python script/checks/container_entry.py URL

Onboards over HA's HTTP API, goes through HomeIQ's config flow with its defaults, waits until the entry is loaded,
sets a state and waits until HomeIQ has stored it. For a container that was just started with the integration in its
configuration. Exit 0 when all that holds, 1 when not, 2 for wrong usage.
"""

from pathlib import Path
import sys
import time

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _hass_client import HassApiError, HassClient

START_S = 300.0
LOAD_S = 180.0  # the first set-up installs the requirements
STORE_S = 30.0
PROBE = "input_boolean.homeiq_probe"


def finish_flow(client: HassClient) -> None:
    """Go through the config flow with the defaults of each step; raise HassApiError when it does not end well."""
    step = client.start_flow("homeiq")
    while step["type"] == "form":
        defaults = {field["name"]: field["default"] for field in step["data_schema"] if "default" in field}
        answer = client.submit_flow(step["flow_id"], defaults)
        if answer["type"] == "form" and answer.get("errors"):
            raise HassApiError(f"the config flow refuses its defaults: {answer['errors']}", body=answer)
        step = answer
    if step["type"] != "create_entry":
        raise HassApiError(f"the config flow ended as {step['type']}: {step.get('reason')}", body=step)


def wait_stored(client: HassClient) -> None:
    """Set a state and wait until HomeIQ answers with it; raise HassApiError after half a minute without it."""
    client.set_state(PROBE, "on")
    deadline = time.monotonic() + STORE_S
    while time.monotonic() < deadline:
        found = client.call_service("homeiq", "query_events", {"entity_id": [PROBE]}, return_response=True)
        if found.get("events"):
            return
        time.sleep(0.5)
    raise HassApiError(f"{PROBE} was set, HomeIQ has not stored it after {STORE_S:g} s")


def main(arguments: list[str]) -> int:
    """Run the steps and say how each ended; return the exit code."""
    if len(arguments) != 1:
        print("usage: python script/checks/container_entry.py URL", file=sys.stderr)
        return 2
    with HassClient(arguments[0]) as client:
        try:
            client.wait_ready(START_S)
            # Without the step core_config, which would fetch the requirements of integrations nobody asked for.
            client.onboard(steps=("analytics", "integration"))
            client.wait_ready(START_S, running=True)
            finish_flow(client)
            entry = client.wait_entry_loaded("homeiq", LOAD_S)
            print(f"container: the entry of HomeIQ is {entry['state']}")
            wait_stored(client)
            print("container: an event that Home Assistant fired is in HomeIQ's store")
        except HassApiError as err:
            print(f"container: {err}")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
