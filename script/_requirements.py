"""Print what Home Assistant would install at run time for HomeIQ, its demo and its benches, one requirement a line.

usage: python script/_requirements.py HOMEASSISTANT_DIR

HOMEASSISTANT_DIR is the `homeassistant` package of the environment. Printed are the requirements of HomeIQ's
manifest and those of every core integration that HomeIQ, the demo's configuration or a bench names, with all they depend
on.
With them installed beforehand, the demo can start Home Assistant with --skip-pip, so that it asks no package index.
"""

import json
from pathlib import Path
import sys

MANIFEST = Path(__file__).resolve().parent.parent / "custom_components" / "homeiq" / "manifest.json"

DEMO_INTEGRATIONS = (
    "api",
    # Camera, infrared, radio_frequency and tts are set up by Home Assistant itself; its pages need them to be importable.
    "camera",
    "config",
    "frontend",
    "homeassistant",
    "infrared",
    "input_boolean",
    "input_button",
    "input_datetime",
    "input_number",
    "input_select",
    "input_text",
    "onboarding",
    "radio_frequency",
    "recorder",
    "repairs",
    "scene",
    "sun",
    "system_health",
    "tts",
    "zone",
)

# What script/bench compares HomeIQ with, beside the recorder.
BENCH_INTEGRATIONS = ("influxdb",)


def requirements(homeassistant: Path) -> list[str]:
    """Return the requirements, sorted and without doubles; raise OSError or ValueError for unreadable manifests."""
    homeiq = json.loads(MANIFEST.read_text())
    found = set(homeiq.get("requirements", []))
    waiting = [*homeiq.get("dependencies", []), *homeiq.get("after_dependencies", [])]
    waiting += [*DEMO_INTEGRATIONS, *BENCH_INTEGRATIONS]
    seen: set[str] = set()
    while waiting:
        domain = waiting.pop()
        path = homeassistant / "components" / domain / "manifest.json"
        if domain in seen or not path.is_file():
            continue
        seen.add(domain)
        manifest = json.loads(path.read_text())
        found.update(manifest.get("requirements", []))
        waiting.extend(manifest.get("dependencies", []))
    return sorted(found)


def main(arguments: list[str]) -> int:
    """Print the list; return the exit code."""
    if len(arguments) != 1:
        print("usage: python script/_requirements.py HOMEASSISTANT_DIR", file=sys.stderr)
        return 2
    print("\n".join(requirements(Path(arguments[0]))))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
