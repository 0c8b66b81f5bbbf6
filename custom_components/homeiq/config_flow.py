"""Ask for what HomeIQ needs: nothing at first, filters and retention later, an InfluxDB server if wanted."""

from typing import Any, Final, override

from homeassistant.config_entries import (
    ConfigEntry,
    ConfigFlowResult,
    ConfigSubentryFlow,
    OptionsFlow,
)
from homeassistant.core import callback
from homeassistant.data_entry_flow import section
from homeassistant.helpers import selector
import probatio as vol

from .const import (
    CONF_ATTRIBUTE_EVENTS,
    CONF_BACKFILL,
    CONF_EXCLUDE,
    CONF_INCLUDE,
    CONF_POSITIONS,
    CONF_RETENTION_DAYS,
    DEFAULT_RETENTION_DAYS,
    DOMAIN,
    MAX_RETENTION_DAYS,
    SUBENTRY_INFLUXDB,
)
from .filter_form import RULES, bad_rule, tidy_rules
from .form_fields import whole_number
from .option_fields import STORE_OPTIONS, async_store_figures
from .reauth import ReauthFlow
from .replica_flow import InfluxDBSubentryFlow
from .settings import retention_days

_DAYS: Final = whole_number(1, MAX_RETENTION_DAYS, "d")
_OPTIONS: Final = vol.Schema(
    {
        vol.Required(CONF_RETENTION_DAYS, default=DEFAULT_RETENTION_DAYS): _DAYS,
        **STORE_OPTIONS,
        vol.Required(CONF_ATTRIBUTE_EVENTS, default=False): selector.BooleanSelector(),
        vol.Required(CONF_POSITIONS, default=False): selector.BooleanSelector(),
        vol.Optional(CONF_INCLUDE): section(RULES, {"collapsed": True}),
        vol.Optional(CONF_EXCLUDE): section(RULES, {"collapsed": True}),
    }
)
_ENTRY: Final = vol.Schema(
    {
        vol.Required(CONF_RETENTION_DAYS, default=DEFAULT_RETENTION_DAYS): _DAYS,
        vol.Required(CONF_BACKFILL, default=True): selector.BooleanSelector(),
    }
)


class HomeIQConfigFlow(ReauthFlow, domain=DOMAIN):
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
            reason="reconfigure_successful",
        )


class HomeIQOptionsFlow(OptionsFlow):
    """Choose what is kept and for how long; applied without a reload."""

    async def async_step_init(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for everything on one page."""
        errors: dict[str, str] = {}
        placeholders = await async_store_figures(self.hass, self.config_entry.options)
        if user_input is not None:
            user_input = tidy_rules(user_input)
            bad = bad_rule(user_input)
            if bad is None:
                return self.async_create_entry(data=user_input)
            errors["base"], placeholders["value"] = bad
        shown = self.add_suggested_values_to_schema(_OPTIONS, user_input or self.config_entry.options)
        return self.async_show_form(
            step_id="init", data_schema=shown, errors=errors, description_placeholders=placeholders
        )
