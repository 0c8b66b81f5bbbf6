"""Check that Home Assistant OS and Home Assistant Container can install what the manifest asks for.

usage: python script/checks/wheels.py [--resolved] [MANIFEST]

Two things are proven. First: on Alpine (musllinux_1_2), for x86_64 and aarch64 and the Python of Home Assistant, the
requirements and all that they need resolve to binary wheels alone, under the constraints that Home Assistant imposes;
uv's resolver reads the index's lists of files and refuses what has no wheel for the platform, so nothing is
downloaded. Second: each range admits the versions that Home Assistant's package constraints and the manifests of its
own integrations pin, else the two would reinstall over each other at every start. Needs a package index.
Exit 0 when both hold, 1 when not (a missing network is a failure that says so), 2 for wrong usage.
"""

from collections.abc import Iterator
import json
import os
from pathlib import Path
import subprocess
import sys

import homeassistant
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

MANIFEST = Path(__file__).resolve().parents[2] / "custom_components" / "homeiq" / "manifest.json"
HOME_ASSISTANT = Path(homeassistant.__file__).parent
CONSTRAINTS = HOME_ASSISTANT / "package_constraints.txt"

PLATFORMS = {
    "musllinux_1_2 x86_64": "x86_64-unknown-linux-musl",
    "musllinux_1_2 aarch64": "aarch64-unknown-linux-musl",
}
PYTHON_VERSION = "3.14"
TIMEOUT_S = 300
_NO_NETWORK = ("Failed to fetch", "error sending request", "dns error", "Could not connect", "timed out")
_CA_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")


class ResolveError(Exception):
    """Report that a set of requirements does not resolve; the message is the resolver's own."""


def resolve(requirements: list[str], platform: str) -> list[str]:
    """Return `name==version` of all that the requirements need on a platform of uv's naming, as wheels alone.

    Raises ResolveError when that cannot be done.
    """
    command = [
        *(sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--no-header", "--no-annotate"),
        *("--only-binary", ":all:", "--python-platform", platform, "--python-version", PYTHON_VERSION),
        *("--constraints", str(CONSTRAINTS), "-"),
    ]
    environment = dict(os.environ)
    if _CA_BUNDLE.is_file():
        environment.setdefault("UV_SYSTEM_CERTS", "1")
    try:
        done = subprocess.run(
            command,
            input="\n".join(requirements),
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            env=environment,
            check=False,
        )
    except subprocess.TimeoutExpired as err:
        raise ResolveError(f"no package index answered within {TIMEOUT_S} s: nothing is proven") from err
    if done.returncode:
        message = done.stderr.strip() or done.stdout.strip()
        if any(sign in message for sign in _NO_NETWORK):
            message = f"no package index could be reached: nothing is proven\n{message}"
        raise ResolveError(message)
    return [line for line in done.stdout.splitlines() if line and not line.startswith(("#", " "))]


def pins(home_assistant: Path = HOME_ASSISTANT) -> Iterator[tuple[Requirement, str]]:
    """Yield each requirement that Home Assistant fixes, with where it does: its constraints and its integrations."""
    for line in (home_assistant / "package_constraints.txt").read_text().splitlines():
        if text := line.split("#")[0].strip():
            yield Requirement(text), "package_constraints.txt"
    for path in sorted((home_assistant / "components").glob("*/manifest.json")):
        for text in json.loads(path.read_text()).get("requirements", []):
            yield Requirement(text), f"components/{path.parent.name}/manifest.json"


def pin_conflicts(requirements: list[str], fixed: list[tuple[Requirement, str]]) -> Iterator[str]:
    """Yield a line for each version that Home Assistant pins and the requirements do not admit."""
    for text in requirements:
        ours = Requirement(text)
        for theirs, where in fixed:
            if canonicalize_name(theirs.name) != canonicalize_name(ours.name):
                continue
            for specifier in theirs.specifier:
                admitted = ours.specifier.contains(specifier.version.removesuffix(".*"), prereleases=True)
                if specifier.operator in ("==", "===") and not admitted:
                    yield f"{text} does not admit {theirs}, pinned in {where}"


def main(arguments: list[str]) -> int:
    """Print what was proven and what was not; return the exit code."""
    list_only = arguments[:1] == ["--resolved"]
    arguments = arguments[list_only:]
    if len(arguments) > 1 or any(argument.startswith("-") for argument in arguments):
        print("usage: python script/checks/wheels.py [--resolved] [MANIFEST]", file=sys.stderr)
        return 2
    manifest = Path(arguments[0]) if arguments else MANIFEST
    requirements = json.loads(manifest.read_text())["requirements"]
    if list_only:
        print("\n".join(resolve(requirements, next(iter(PLATFORMS.values())))))
        return 0
    failed = False
    for line in pin_conflicts(requirements, list(pins())):
        failed = True
        print(f"wheels: {line}")
    for name, platform in PLATFORMS.items():
        try:
            resolved = resolve(requirements, platform)
        except ResolveError as err:
            failed = True
            print(f"wheels: {name}: {err}")
        else:
            print(f"wheels: {name}, Python {PYTHON_VERSION}: {' '.join(resolved)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
