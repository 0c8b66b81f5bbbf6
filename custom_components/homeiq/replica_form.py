"""Build the forms of the InfluxDB flow and tidy what is entered into them."""

from collections.abc import Mapping
from typing import Any, Final

from homeassistant.const import CONF_TOKEN, CONF_URL, CONF_VERIFY_SSL
from homeassistant.data_entry_flow import section
from homeassistant.helpers import selector
import probatio as vol

from .const import (
    CONF_BUCKET,
    CONF_CA,
    CONF_EXCLUDE,
    CONF_HOME,
    CONF_INCLUDE,
    CONF_LAYOUT,
    CONF_METRICS_ONLY,
    CONF_ORG,
    CONF_START,
    CONF_START_DAYS,
    CONF_VERIFY_READS,
)
from .engine.replica import Layout
from .filter_form import RULES
from .form_fields import SECRET, whole_number

START_KEEP: Final = "keep"
START_NOW: Final = "now"
START_EVERYTHING: Final = "everything"
START_DAYS: Final = "days"

_DEFAULT_DAYS: Final = 30
_MAX_DAYS: Final = 36_500
_LONGEST_HOME: Final = 64

CONNECTION: Final = vol.Schema(
    {
        vol.Required(CONF_URL): selector.TextSelector(selector.TextSelectorConfig(type=selector.TextSelectorType.URL)),
        vol.Optional(CONF_TOKEN): SECRET,
        vol.Required(CONF_VERIFY_SSL, default=True): selector.BooleanSelector(),
        vol.Optional(CONF_CA): selector.TextSelector(selector.TextSelectorConfig(multiline=True)),
    }
)
BUCKET: Final = vol.Schema(
    {
        vol.Optional(CONF_ORG): selector.TextSelector(),
        vol.Required(CONF_BUCKET): selector.TextSelector(),
    }
)
ACCEPT: Final = vol.Schema({})
_HOME: Final = {vol.Optional(CONF_HOME): selector.TextSelector()}
_LAYOUT: Final = {
    vol.Required(CONF_LAYOUT, default=Layout.LEAN.value): selector.SelectSelector(
        selector.SelectSelectorConfig(
            options=[layout.value for layout in Layout], translation_key="layout", mode=selector.SelectSelectorMode.LIST
        )
    )
}
_START: Final = {
    vol.Required(CONF_START, default=START_EVERYTHING): selector.SelectSelector(
        selector.SelectSelectorConfig(
            options=[START_EVERYTHING, START_DAYS, START_NOW],
            translation_key="replica_start",
            mode=selector.SelectSelectorMode.LIST,
        )
    )
}
_START_AGAIN: Final = {
    vol.Required(CONF_START, default=START_KEEP): selector.SelectSelector(
        selector.SelectSelectorConfig(
            options=[START_KEEP, START_EVERYTHING, START_DAYS, START_NOW],
            translation_key="replica_start_again",
            mode=selector.SelectSelectorMode.LIST,
        )
    )
}
_REST: Final = {
    vol.Required(CONF_START_DAYS, default=_DEFAULT_DAYS): whole_number(1, _MAX_DAYS, "d"),
    vol.Optional(CONF_INCLUDE): section(RULES, {"collapsed": True}),
    vol.Optional(CONF_EXCLUDE): section(RULES, {"collapsed": True}),
}
_VERIFY: Final = {vol.Required(CONF_VERIFY_READS, default=False): selector.BooleanSelector()}


def settings_form(data: Mapping[str, Any], *, again: bool) -> vol.Schema:
    """Return the last form; numbers alone have no layout and cannot be read back event by event."""
    whole = not data.get(CONF_METRICS_ONLY)
    return vol.Schema(
        {
            **(_LAYOUT if whole else {}),
            **_HOME,
            **(_START_AGAIN if again else _START),
            **_REST,
            **(_VERIFY if whole else {}),
        }
    )


def tidy(user_input: Mapping[str, Any]) -> dict[str, Any]:
    """Return the input without the blanks that come with copied texts."""
    return {name: value.strip() if isinstance(value, str) else value for name, value in user_input.items()}


def bad_home(home: str) -> bool:
    """Return whether a text cannot be the tag that tells one home from another."""
    return not home.isprintable() or len(home) > _LONGEST_HOME
