"""Ask for what HomeIQ needs: nothing at first, filters and retention later, an InfluxDB server if wanted."""

from collections.abc import Iterable, Mapping
import re
from typing import Any, Final, override

from homeassistant.config_entries import (
    ConfigEntry,
    ConfigFlow,
    ConfigFlowResult,
    ConfigSubentryFlow,
    OptionsFlow,
    SubentryFlowResult,
)
from homeassistant.const import CONF_TOKEN, CONF_URL, CONF_VERIFY_SSL
from homeassistant.core import callback
from homeassistant.data_entry_flow import section
from homeassistant.helpers import selector
import probatio as vol

from .const import (
    CONF_AREAS,
    CONF_ATTRIBUTE_EVENTS,
    CONF_BACKFILL,
    CONF_BUCKET,
    CONF_DEVICE_CLASSES,
    CONF_DOMAINS,
    CONF_EXCLUDE,
    CONF_GLOBS,
    CONF_INCLUDE,
    CONF_INTEGRATIONS,
    CONF_LABELS,
    CONF_ORG,
    CONF_POSITIONS,
    CONF_RETENTION_DAYS,
    DEFAULT_RETENTION_DAYS,
    DOMAIN,
    MAX_RETENTION_DAYS,
    SUBENTRY_INFLUXDB,
)
from .engine.replica import InfluxError, check_connection
from .option_fields import STORE_OPTIONS, async_store_figures
from .settings import influx_place, influx_settings, retention_days

_MANY_TEXTS: Final = selector.TextSelector(selector.TextSelectorConfig(multiple=True))
_PASSWORD: Final = selector.TextSelector(selector.TextSelectorConfig(type=selector.TextSelectorType.PASSWORD))
_DAYS: Final = vol.All(
    selector.NumberSelector(
        selector.NumberSelectorConfig(
            min=1, max=MAX_RETENTION_DAYS, step=1, mode=selector.NumberSelectorMode.BOX, unit_of_measurement="d"
        )
    ),
    vol.Coerce(int),
)
_RULES: Final = vol.Schema(
    {
        vol.Optional(CONF_GLOBS): _MANY_TEXTS,
        vol.Optional(CONF_LABELS): selector.LabelSelector(selector.LabelSelectorConfig(multiple=True)),
        vol.Optional(CONF_AREAS): selector.AreaSelector(selector.AreaSelectorConfig(multiple=True)),
        vol.Optional(CONF_DEVICE_CLASSES): _MANY_TEXTS,
        vol.Optional(CONF_INTEGRATIONS): _MANY_TEXTS,
        vol.Optional(CONF_DOMAINS): _MANY_TEXTS,
    }
)
_OPTIONS: Final = vol.Schema(
    {
        vol.Required(CONF_RETENTION_DAYS, default=DEFAULT_RETENTION_DAYS): _DAYS,
        **STORE_OPTIONS,
        vol.Required(CONF_ATTRIBUTE_EVENTS, default=False): selector.BooleanSelector(),
        vol.Required(CONF_POSITIONS, default=False): selector.BooleanSelector(),
        vol.Optional(CONF_INCLUDE): section(_RULES, {"collapsed": True}),
        vol.Optional(CONF_EXCLUDE): section(_RULES, {"collapsed": True}),
    }
)
_ENTRY: Final = vol.Schema(
    {
        vol.Required(CONF_RETENTION_DAYS, default=DEFAULT_RETENTION_DAYS): _DAYS,
        vol.Required(CONF_BACKFILL, default=True): selector.BooleanSelector(),
    }
)
_INFLUXDB: Final = vol.Schema(
    {
        vol.Required(CONF_URL): selector.TextSelector(selector.TextSelectorConfig(type=selector.TextSelectorType.URL)),
        vol.Required(CONF_ORG): selector.TextSelector(),
        vol.Required(CONF_BUCKET): selector.TextSelector(),
        vol.Required(CONF_TOKEN): _PASSWORD,
        vol.Required(CONF_VERIFY_SSL, default=True): selector.BooleanSelector(),
    }
)
# What such a rule must look like to match anything, and the error where it does not.
_NAME: Final = re.compile(r"[a-z0-9_]+")
_TEXT_RULES: Final[Mapping[str, tuple[str, re.Pattern[str]]]] = {
    CONF_GLOBS: ("invalid_pattern", re.compile(r"[^\s.]+\.[^\s.]+")),
    CONF_DEVICE_CLASSES: ("invalid_name", _NAME),
    CONF_INTEGRATIONS: ("invalid_name", _NAME),
    CONF_DOMAINS: ("invalid_name", _NAME),
}
# What a reconfiguration shows in place of the stored token.
_UNCHANGED_TOKEN: Final = ""


class HomeIQConfigFlow(ConfigFlow, domain=DOMAIN):
    """Set HomeIQ up in one step; everything has a default."""

    VERSION = 1

    @staticmethod
    @callback
    @override
    def async_get_options_flow(config_entry: ConfigEntry) -> HomeIQOptionsFlow:
        """Return the flow for filters and retention."""
        return HomeIQOptionsFlow()

    @classmethod
    @callback
    @override
    def async_get_supported_subentry_types(cls, config_entry: ConfigEntry) -> dict[str, type[ConfigSubentryFlow]]:
        """Return the kinds of connection that can be added."""
        return {SUBENTRY_INFLUXDB: InfluxDBSubentryFlow}

    @override
    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for the retention and whether to read the recorder's past."""
        if user_input is None:
            return self.async_show_form(step_id="user", data_schema=_ENTRY)
        return self.async_create_entry(
            title="HomeIQ",
            data={CONF_BACKFILL: user_input[CONF_BACKFILL]},
            options={CONF_RETENTION_DAYS: user_input[CONF_RETENTION_DAYS]},
        )

    async def async_step_reconfigure(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Change what was asked at first."""
        entry = self._get_reconfigure_entry()
        if user_input is None:
            shown = {
                CONF_BACKFILL: entry.data.get(CONF_BACKFILL, True),
                CONF_RETENTION_DAYS: retention_days(entry.options),
            }
            return self.async_show_form(
                step_id="reconfigure", data_schema=self.add_suggested_values_to_schema(_ENTRY, shown)
            )
        # The update listener applies it; a reload beside a listener is refused by Home Assistant.
        return self.async_update_and_abort(
            entry,
            data_updates={CONF_BACKFILL: user_input[CONF_BACKFILL]},
            options={**entry.options, CONF_RETENTION_DAYS: user_input[CONF_RETENTION_DAYS]},
        )


class HomeIQOptionsFlow(OptionsFlow):
    """Choose what is kept and for how long; applied without a reload."""

    async def async_step_init(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for everything on one page."""
        errors: dict[str, str] = {}
        placeholders = await async_store_figures(self.hass, self.config_entry.options)
        if user_input is not None:
            user_input = _tidy_rules(user_input)
            bad = _bad_rule(user_input)
            if bad is None:
                return self.async_create_entry(data=user_input)
            errors["base"], placeholders["value"] = bad
        shown = self.add_suggested_values_to_schema(_OPTIONS, user_input or self.config_entry.options)
        return self.async_show_form(
            step_id="init", data_schema=shown, errors=errors, description_placeholders=placeholders
        )


class InfluxDBSubentryFlow(ConfigSubentryFlow):
    """Connect an InfluxDB server that follows the store; the connection is tested before it is kept."""

    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Ask for the server, the bucket and the token."""
        errors: dict[str, str] = {}
        placeholders: dict[str, str] = {}
        if user_input is not None:
            user_input = _tidy(user_input)
            if self._is_known(user_input, None):
                return self.async_abort(reason="already_configured")
            errors, placeholders = await self._async_test(user_input)
            if not errors:
                return self.async_create_entry(title=_title(user_input), data=user_input)
        return self.async_show_form(
            step_id="user",
            data_schema=self.add_suggested_values_to_schema(_INFLUXDB, user_input),
            errors=errors,
            description_placeholders=placeholders,
        )

    async def async_step_reconfigure(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Change the connection; an empty token keeps the stored one."""
        subentry = self._get_reconfigure_subentry()
        errors: dict[str, str] = {}
        placeholders: dict[str, str] = {}
        if user_input is not None:
            data = _tidy({**user_input, CONF_TOKEN: user_input.get(CONF_TOKEN) or subentry.data[CONF_TOKEN]})
            if self._is_known(data, subentry.subentry_id):
                return self.async_abort(reason="already_configured")
            errors, placeholders = await self._async_test(data)
            if not errors:
                return self.async_update_and_abort(self._get_entry(), subentry, title=_title(data), data=data)
        shown = {**(user_input or subentry.data), CONF_TOKEN: _UNCHANGED_TOKEN}
        fields = _INFLUXDB.extend({vol.Optional(CONF_TOKEN): _PASSWORD})
        return self.async_show_form(
            step_id="reconfigure",
            data_schema=self.add_suggested_values_to_schema(fields, shown),
            errors=errors,
            description_placeholders=placeholders,
        )

    def _is_known(self, data: Mapping[str, Any], own_id: str | None) -> bool:
        return any(
            influx_place(other.data) == influx_place(data)
            for other in self._get_entry().subentries.values()
            if other.subentry_type == SUBENTRY_INFLUXDB and other.subentry_id != own_id
        )

    async def _async_test(self, data: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, str]]:
        """Return the flow's errors and their placeholders, both empty if the server takes events."""
        try:
            await check_connection(influx_settings(data))
        except InfluxError as err:
            return {"base": err.reason}, dict(err.placeholders)
        return {}, {}


def _tidy(user_input: Mapping[str, Any]) -> dict[str, Any]:
    """Return the input with one spelling for one server; blanks come with copied texts."""
    tidied = {name: value.strip() if isinstance(value, str) else value for name, value in user_input.items()}
    return {**tidied, CONF_URL: tidied[CONF_URL].rstrip("/")}


def _title(data: Mapping[str, Any]) -> str:
    return f"{data[CONF_BUCKET]} ({data[CONF_URL]})"


def _tidy_rules(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options with names and patterns as Home Assistant writes them: lower case, no blanks, each once."""
    tidied = dict(options)
    for side in (CONF_INCLUDE, CONF_EXCLUDE):
        if side in options:
            tidied[side] = {
                name: _tidy_texts(values) if name in _TEXT_RULES else values for name, values in options[side].items()
            }
    return tidied


def _tidy_texts(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(tidied for value in values if (tidied := value.strip().lower())))


def _bad_rule(options: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return the error and the value for the first rule that can match nothing, None if all can."""
    for side in (CONF_INCLUDE, CONF_EXCLUDE):
        rules = options.get(side) or {}
        for name, (error, form) in _TEXT_RULES.items():
            for value in rules.get(name, ()):
                if form.fullmatch(value) is None:
                    return error, value
    return None
