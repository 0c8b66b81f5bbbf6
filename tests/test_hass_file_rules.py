"""The files that Home Assistant and HACS read are in order, and a fault in any of them is seen."""

import json
from pathlib import Path
import struct

import pytest

from checks._manifest import BRAND_SIZES, LOGO_SHORT_SIDE, QUALITY_RULES
from checks.hass_files import REPOSITORY, faults

CONFIG_FLOW = """
from homeassistant.config_entries import ConfigFlow, ConfigSubentryFlow, OptionsFlow
from homeassistant.const import CONF_URL
from homeassistant.data_entry_flow import section
import probatio as vol

from .const import CONF_DAYS
from .errors import ServerError

_RULES = vol.Schema({vol.Optional("globs"): str})
_FORM = vol.Schema({vol.Required(CONF_DAYS, default=90): int})


class HomeIQConfigFlow(ConfigFlow, domain="homeiq"):
    @classmethod
    def async_get_supported_subentry_types(cls, config_entry):
        return {"influxdb": InfluxFlow}

    async def async_step_user(self, user_input=None):
        errors = {}
        if user_input == {}:
            errors["base"] = "empty"
        if user_input is None:
            return self.async_show_form(data_schema=_FORM, errors=errors)
        return self.async_abort(reason="known")


class HomeIQOptionsFlow(OptionsFlow):
    async def async_step_init(self, user_input=None):
        schema = vol.Schema({vol.Optional("rules"): section(_RULES, {"collapsed": True})})
        shown = self.add_suggested_values_to_schema(schema, user_input)
        return self.async_show_form(step_id="init", data_schema=shown)


class InfluxFlow(ConfigSubentryFlow):
    async def async_step_user(self, user_input=None):
        return self.async_show_form(
            step_id="user", data_schema=vol.Schema({vol.Required(CONF_URL): str}), errors=await self._test()
        )

    async def _test(self):
        try:
            connect()
        except ServerError as err:
            return {"base": err.reason}
        return {}
"""

FILES = {
    "__init__.py": "",
    "const.py": 'CONF_DAYS = "retention_days"\n',
    "errors.py": (
        "from enum import StrEnum\n\n\nclass Reason(StrEnum):\n    AUTH = 'invalid_auth'\n\n\n"
        "class ServerError(Exception):\n    code = 'server'\n\n    def __init__(self, reason: Reason):\n        pass\n\n\n"
        "def connect():\n    raise ServerError(Reason.AUTH)\n"
    ),
    "config_flow.py": CONFIG_FLOW,
    "sensor.py": 'ALL = (SensorEntityDescription(key="a", translation_key="events_lost", native_unit_of_measurement="x"),)\n',
    "services.py": (
        "import probatio as vol\n\nfrom .errors import ServerError\n\n\n"
        "def error(key, **placeholders):\n"
        "    return ServiceValidationError(translation_key=key, translation_placeholders=placeholders)\n\n\n"
        "def failed(err: ServerError):\n"
        '    return HomeAssistantError(translation_key=f"{err.code}_failed", translation_placeholders={"error": err})\n\n\n'
        "def async_setup_services(hass):\n"
        '    schema = vol.Schema({vol.Required("keep_days"): int})\n'
        '    hass.services.async_register("homeiq", "purge", lambda call: error("bad_days", value=1), schema)\n'
        '    ir.async_create_issue(hass, "homeiq", "disk", translation_key="disk_full")\n'
    ),
    "system_health.py": 'async def info(hass):\n    return {"store": 1}\n',
    "services.yaml": "purge:\n  fields:\n    keep_days:\n      required: true\n      selector:\n        number:\n          min: 1\n          max: 9\n",
    "icons.json": json.dumps(
        {
            "entity": {"sensor": {"events_lost": {"default": "mdi:alert"}}},
            "services": {"purge": {"service": "mdi:broom"}},
        }
    ),
    "translations/en.json": json.dumps(
        {
            "config": {
                "step": {
                    "user": {"data": {"retention_days": "Days"}, "data_description": {"retention_days": "How many"}}
                },
                "error": {"empty": "Nothing given"},
                "abort": {"known": "Known"},
            },
            "options": {
                "step": {
                    "init": {
                        "sections": {
                            "rules": {
                                "name": "Rules",
                                "data": {"globs": "Patterns"},
                                "data_description": {"globs": "Such as light.*"},
                            }
                        }
                    }
                }
            },
            "config_subentries": {
                "influxdb": {
                    "entry_type": "InfluxDB",
                    "initiate_flow": {"user": "Add"},
                    "step": {"user": {"data": {"url": "URL"}, "data_description": {"url": "Where"}}},
                    "error": {"invalid_auth": "Refused"},
                }
            },
            "entity": {"sensor": {"events_lost": {"name": "Events lost"}}},
            "exceptions": {
                "bad_days": {"message": "Not a number of days: {value}"},
                "server_failed": {"message": "The server failed: {error}"},
            },
            "issues": {"disk_full": {"title": "Disk full", "description": "Make room"}},
            "services": {
                "purge": {
                    "name": "Purge",
                    "description": "Removes events",
                    "fields": {"keep_days": {"name": "Days", "description": "How many to keep"}},
                }
            },
            "system_health": {"info": {"store": "Store"}},
        }
    ),
    "quality_scale.yaml": "rules:\n" + "".join(f"  {rule}: todo\n" for rule in sorted(QUALITY_RULES)),
}


def _png(width: int, height: int, color_type: int = 6) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + struct.pack("!I4sIIBBBBBI", 13, b"IHDR", width, height, 8, color_type, 0, 0, 0, 0)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Return a small repository without a fault."""
    integration = tmp_path / "custom_components" / "homeiq"
    for name, text in FILES.items():
        path = integration / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (integration / "manifest.json").write_bytes(
        (REPOSITORY / "custom_components" / "homeiq" / "manifest.json").read_bytes()
    )
    (tmp_path / "hacs.json").write_bytes((REPOSITORY / "hacs.json").read_bytes())
    (integration / "brand").mkdir()
    for name, size in BRAND_SIZES.items():
        (integration / "brand" / name).write_bytes(_png(size, size))
    for name, (low, high) in LOGO_SHORT_SIDE.items():
        (integration / "brand" / name).write_bytes(_png(3 * high, low))
    return tmp_path


def test_the_repository_is_in_order() -> None:
    """No file that Home Assistant or HACS reads has a fault."""
    assert list(faults()) == []


def test_a_faultless_repository_has_no_fault(repository: Path) -> None:
    """The small repository on which the faults below are tried is itself in order."""
    assert list(faults(repository)) == []


@pytest.mark.parametrize(
    ("file", "old", "new", "told"),
    [
        ("manifest.json", '"name": "HomeIQ",', "", "manifest.json: name is missing"),
        ("manifest.json", '"local_push"', '"local_pull"', "iot_class must be one of"),
        ("manifest.json", '"lovelace"', '"lovelaces"', "Home Assistant has no integration lovelaces"),
        ("manifest.json", '"lovelace"', '"http"', "http is in dependencies and in after_dependencies"),
        ("manifest.json", "numpy>=2.3,<3", "numpy==2.3.2", "a range, never one version"),
        ("manifest.json", "numpy>=2.3,<3", "numpy<3", "name the lowest version"),
        ("manifest.json", '"0.1.0"', '"one"', "version 'one' is no version"),
        ("manifest.json", '"single_config_entry": true', '"single_config_entry": 1', "must be true or false"),
        ("manifest.json", '"version"', '"quality_scale": "gold",\n  "version"', "quality_scale is for core"),
        ("manifest.json", '"@wtthornton"', '"wtthornton"', "must begin with @"),
        ("quality_scale.yaml", "  brands: todo\n", "", "rule brands is missing"),
        ("quality_scale.yaml", "brands: todo", "brands: exempt", "exempt needs a comment"),
        ("quality_scale.yaml", "brands: todo", "brands: half", "'half' is not done, todo or exempt"),
        ("icons.json", "mdi:broom", "broom", "is not of the form mdi:name"),
        ("icons.json", '"service": "mdi:broom"', "", "purge: icons.json has no icon"),
        ("icons.json", '"purge"', '"purge": {"service": "mdi:x"}, "flush"', "flush: icons.json has an icon for it"),
        ("icons.json", '"events_lost": {"default": "mdi:alert"}', "", "no icon and no device class"),
        ("translations/en.json", '"retention_days": "Days"', "", "config.step.user.data.retention_days: is missing"),
        ("translations/en.json", '"Days"}', '"Days", "x": "X"}', "has no such field"),
        ("translations/en.json", '"globs": "Patterns"', "", "sections.rules.data.globs: is missing"),
        ("translations/en.json", '"empty": "Nothing given"', "", "config.error.empty: is missing"),
        ("translations/en.json", '"known": "Known"', "", "config.abort.known: is missing"),
        ("translations/en.json", '"known": "Known"', '"known": "Known", "gone": "Gone"', "abort.gone: is used nowhere"),
        ("translations/en.json", '"invalid_auth": "Refused"', "", "influxdb.error.invalid_auth: is missing"),
        ("translations/en.json", '"entry_type": "InfluxDB", ', "", "influxdb.entry_type: is missing"),
        ("translations/en.json", '"name": "Events lost"', "", "sensor.events_lost.name: is missing"),
        ("translations/en.json", "{value}", "{days}", "no code fills the placeholder {days}"),
        ("translations/en.json", "failed: {error}", "failed: {value}", "{value} is not filled"),
        ("translations/en.json", '"server_failed"', '"failed"', "exceptions.server_failed: is missing"),
        ("translations/en.json", '"disk_full"', '"disk"', "issues.disk_full: is missing"),
        ("translations/en.json", '"title": "Disk full", ', "", "issues.disk_full.title: is missing"),
        ("translations/en.json", '"name": "Purge", ', "", "services.purge.name: is missing"),
        ("translations/en.json", '"keep_days": {', '"keep": {', "services.purge.fields.keep_days.name: is missing"),
        ("translations/en.json", '"store": "Store"', "", "system_health.info.store: is missing"),
        ("translations/en.json", '"Refused"', '"[%key:common::error%]"', "references are resolved for core only"),
        ("translations/en.json", '"Refused"', '"<b>Refused</b>"', "holds HTML"),
        ("translations/en.json", '"Refused"', '" "', "is empty or has blanks"),
        ("services.yaml", "number:", "nomber:", "purge.keep_days: selector:"),
        ("services.yaml", "required: true", "required: true\n      widget: 1", "unknown key widget"),
        ("services.py", '"purge"', '"flush"', "flush: is registered at services.py"),
        ("services.py", '{vol.Required("keep_days"): int}', "{vol.Required('days'): int}", "purge.days: the schema"),
        ("sensor.py", 'translation_key="events_lost"', 'translation_key="lost"', "entity.sensor.lost: is missing"),
    ],
)
def test_a_fault_is_told(repository: Path, file: str, old: str, new: str, told: str) -> None:
    """Each fault, made once in an otherwise faultless repository, is told with the file it is in."""
    path = repository / "custom_components" / "homeiq" / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))

    assert told in "\n".join(faults(repository))


@pytest.mark.parametrize(
    ("file", "content", "told"),
    [
        ("hacs.json", b'{"name": "x", "homeassistant": "now"}', "'now' is no Home Assistant version"),
        ("hacs.json", b'{"name": "x", "homeassistant": "2026.10.0", "zip": 1}', "unknown key zip"),
        ("hacs.json", b"{", "hacs.json: cannot be read"),
        ("custom_components/homeiq/brand/icon.png", _png(255, 256), "icon.png: is 255x256, must be 256x256"),
        ("custom_components/homeiq/brand/icon.png", _png(256, 256, 2), "icon.png: has no transparency"),
        ("custom_components/homeiq/brand/logo.png", _png(300, 64), "its shorter side must be 128 to 256"),
        ("custom_components/homeiq/brand/logo.png", b"GIF89a", "logo.png: not a PNG picture"),
        ("custom_components/homeiq/strings.json", b"{}", "strings.json: is read for core integrations only"),
        ("custom_components/homeiq/translations/en.json", b'{"title": "a", "title": "b"}', "key given twice: title"),
        (
            "custom_components/homeiq/translations/de.json",
            b'{"title": "HomeIQ"}',
            "translations/de.json: title: is not",
        ),
    ],
)
def test_a_faulty_file_is_told(repository: Path, file: str, content: bytes, told: str) -> None:
    """A file that is wrong as a whole is told by its name."""
    (repository / file).write_bytes(content)

    assert told in "\n".join(faults(repository))
