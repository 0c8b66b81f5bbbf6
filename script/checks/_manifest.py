"""Check manifest.json, hacs.json, quality_scale.yaml and the brand pictures."""

from collections.abc import Iterator
import json
from pathlib import Path
import re
import struct
from typing import Any

import homeassistant
from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import InvalidVersion, Version
import yaml

from ._code import domains_of

_STRINGS = "a list of strings"
_URL = "an https:// address"

MANIFEST_KEYS: dict[str, str] = {
    "domain": "text",
    "name": "text",
    "after_dependencies": _STRINGS,
    "codeowners": _STRINGS,
    "config_flow": "true or false",
    "dependencies": _STRINGS,
    "documentation": _URL,
    "import_executor": "true or false",
    "integration_type": "text",
    "iot_class": "text",
    "issue_tracker": _URL,
    "loggers": _STRINGS,
    "requirements": _STRINGS,
    "single_config_entry": "true or false",
    "version": "text",
}
"""The keys that a custom integration without discovery may use, with what each holds."""

REQUIRED_KEYS = (
    "domain",
    "name",
    "codeowners",
    "config_flow",
    "documentation",
    "integration_type",
    "iot_class",
    "issue_tracker",
    "version",
)
"""What hassfest and HACS demand together."""

INTEGRATION_TYPES = ("device", "entity", "hardware", "helper", "hub", "service", "system", "virtual")
IOT_CLASSES = ("assumed_state", "calculated", "cloud_polling", "cloud_push", "local_polling", "local_push")

QUALITY_RULES = frozenset(
    """
    action-setup appropriate-polling brands common-modules config-flow config-flow-test-coverage
    dependency-transparency docs-actions docs-conditions docs-high-level-description docs-installation-instructions
    docs-removal-instructions docs-triggers entity-event-setup entity-unique-id has-entity-name runtime-data
    test-before-configure test-before-setup unique-config-entry

    action-exceptions config-entry-unloading docs-configuration-parameters docs-installation-parameters
    entity-unavailable integration-owner log-when-unavailable parallel-updates reauthentication-flow test-coverage

    devices diagnostics discovery discovery-update-info docs-data-update docs-examples docs-known-limitations
    docs-supported-devices docs-supported-functions docs-troubleshooting docs-use-cases dynamic-devices
    entity-category entity-device-class entity-disabled-by-default entity-translations exception-translations
    icon-translations reconfiguration-flow repair-issues stale-devices

    async-dependency inject-websession strict-typing
    """.split()  # noqa: SIM905
)

BRAND_SIZES = {"icon.png": 256, "icon@2x.png": 512}
"""Icons are square, of exactly this many pixels."""

LOGO_SHORT_SIDE = {"logo.png": (128, 256), "logo@2x.png": (256, 512)}
"""The shorter side of a logo lies between these, ends included."""

HACS_KEYS: dict[str, type | tuple[type, ...]] = {
    "name": str,
    "content_in_root": bool,
    "country": (str, list),
    "filename": str,
    "hacs": str,
    "hide_default_branch": bool,
    "homeassistant": str,
    "persistent_directory": str,
    "render_readme": bool,
    "zip_release": bool,
}


def check_manifest(integration: Path) -> Iterator[str]:
    """Yield what is wrong with manifest.json."""
    try:
        manifest = json.loads((integration / "manifest.json").read_text())
    except (OSError, ValueError) as err:
        yield f"cannot be read: {err}"
        return
    for key, value in manifest.items():
        expected = MANIFEST_KEYS.get(key)
        if key == "quality_scale":
            yield "quality_scale is for core integrations; a custom one keeps quality_scale.yaml alone"
        elif expected is None:
            yield f"unknown key {key}"
        elif not _fits(value, expected):
            yield f"{key} must be {expected}"
    yield from (f"{key} is missing" for key in REQUIRED_KEYS if key not in manifest)
    keys = list(manifest)
    wanted = [key for key in ("domain", "name") if key in keys] + sorted(k for k in keys if k not in ("domain", "name"))
    if keys != wanted:
        yield f"keys must be domain, name, then alphabetical: {', '.join(wanted)}"
    if manifest.get("domain") != integration.name:
        yield f"domain is not the folder's name, {integration.name}"
    if manifest.get("integration_type") not in INTEGRATION_TYPES:
        yield f"integration_type must be one of {', '.join(INTEGRATION_TYPES)}"
    if manifest.get("iot_class") not in IOT_CLASSES:
        yield f"iot_class must be one of {', '.join(IOT_CLASSES)}"
    yield from (f"codeowner {name!r} must begin with @" for name in manifest.get("codeowners", []) if name[:1] != "@")
    yield from _version_problems(manifest.get("version", ""))
    yield from _dependency_problems(manifest)
    yield from _requirement_problems(manifest.get("requirements", []))
    if manifest.get("config_flow") and not (integration / "config_flow.py").is_file():
        yield "config_flow is true, but there is no config_flow.py"


def _fits(value: Any, expected: str) -> bool:
    if expected == _STRINGS:
        return isinstance(value, list) and all(isinstance(item, str) for item in value)
    if expected == _URL:
        return isinstance(value, str) and value.startswith("https://")
    return isinstance(value, bool) if expected == "true or false" else isinstance(value, str) and bool(value)


def _version_problems(version: str) -> Iterator[str]:
    try:
        parsed = Version(version)
    except InvalidVersion:
        yield f"version {version!r} is no version"
        return
    if len(parsed.release) != 3:
        yield f"version {version!r} must have three parts"


def _dependency_problems(manifest: dict[str, Any]) -> Iterator[str]:
    components = domains_of(homeassistant)
    needed, after = manifest.get("dependencies", []), manifest.get("after_dependencies", [])
    for kind, domains in (("dependencies", needed), ("after_dependencies", after)):
        yield from (f"{kind}: {d} is listed twice" for d in sorted({d for d in domains if domains.count(d) > 1}))
        for domain in domains:
            if not (components / domain / "manifest.json").is_file():
                yield f"{kind}: Home Assistant has no integration {domain}"
    yield from (f"{domain} is in dependencies and in after_dependencies" for domain in needed if domain in after)


def _requirement_problems(requirements: list[str]) -> Iterator[str]:
    names = []
    for text in requirements:
        try:
            requirement = Requirement(text)
        except InvalidRequirement as err:
            yield f"requirement {text!r}: {err}"
            continue
        names.append(requirement.name)
        operators = {specifier.operator for specifier in requirement.specifier}
        if requirement.url:
            yield f"requirement {text!r}: not by address"
        if operators & {"==", "==="}:
            yield f"requirement {text!r}: a range, never one version, or it fights other integrations' pins"
        elif not operators & {">=", ">", "~="}:
            yield f"requirement {text!r}: name the lowest version that works"
    if names != sorted(names, key=str.lower):
        yield f"requirements must be sorted: {', '.join(sorted(names, key=str.lower))}"


def check_hacs(repository: Path) -> Iterator[str]:
    """Yield what is wrong with hacs.json."""
    try:
        hacs = json.loads((repository / "hacs.json").read_text())
    except (OSError, ValueError) as err:
        yield f"cannot be read: {err}"
        return
    for key, value in hacs.items():
        if key not in HACS_KEYS:
            yield f"unknown key {key}"
        elif not isinstance(value, HACS_KEYS[key]):
            yield f"{key} has the wrong type"
    yield from (f"{key} is missing" for key in ("name", "homeassistant") if key not in hacs)
    if hacs.get("zip_release") and not str(hacs.get("filename", "")).endswith(".zip"):
        yield "zip_release needs a filename that ends in .zip"
    if not re.fullmatch(r"20\d\d\.\d{1,2}\.\d+", str(hacs.get("homeassistant", ""))):
        yield f"homeassistant {hacs.get('homeassistant')!r} is no Home Assistant version"


def check_quality_scale(integration: Path) -> Iterator[str]:
    """Yield what is wrong with quality_scale.yaml."""
    try:
        document = yaml.safe_load((integration / "quality_scale.yaml").read_text())
    except (OSError, yaml.YAMLError) as err:
        yield f"cannot be read: {err}"
        return
    rules = document.get("rules") if isinstance(document, dict) else None
    if not isinstance(rules, dict) or set(document) != {"rules"}:
        yield "must hold one key, rules, with a state for each rule"
        return
    yield from (f"rule {rule} is missing" for rule in sorted(QUALITY_RULES - rules.keys()))
    yield from (f"there is no rule {rule}" for rule in sorted(rules.keys() - QUALITY_RULES))
    for rule, state in rules.items():
        status = state.get("status") if isinstance(state, dict) else state
        if status not in ("done", "todo", "exempt"):
            yield f"{rule}: {status!r} is not done, todo or exempt"
        elif status == "exempt" and not (isinstance(state, dict) and state.get("comment")):
            yield f"{rule}: exempt needs a comment that says why"
        if isinstance(state, dict) and not state.keys() <= {"status", "comment"}:
            yield f"{rule}: only status and comment are known"


def check_brand(integration: Path) -> Iterator[str]:
    """Yield what is wrong with the pictures in brand/."""
    for name in (*BRAND_SIZES, *LOGO_SHORT_SIDE):
        try:
            head = (integration / "brand" / name).read_bytes()[:33]
        except OSError as err:
            yield f"{name}: {err.strerror}"
            continue
        if head[:8] != b"\x89PNG\r\n\x1a\n" or len(head) < 33:
            yield f"{name}: not a PNG picture"
            continue
        width, height, _depth, color_type = struct.unpack("!IIBB", head[16:26])
        if color_type not in (3, 4, 6):
            yield f"{name}: has no transparency"
        if name in BRAND_SIZES and (width, height) != (BRAND_SIZES[name], BRAND_SIZES[name]):
            yield f"{name}: is {width}x{height}, must be {BRAND_SIZES[name]}x{BRAND_SIZES[name]}"
        if name in LOGO_SHORT_SIDE:
            low, high = LOGO_SHORT_SIDE[name]
            if not low <= min(width, height) <= high:
                yield f"{name}: is {width}x{height}, its shorter side must be {low} to {high}"
