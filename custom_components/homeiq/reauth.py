"""Ask for a new token where a server refuses the one it has.

Home Assistant knows reauthentication for entries only, one flow at a time, and drops a second. HomeIQ's entry has many
connections, so those whose turn has not come wait here until the flow before them has ended.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, override

from homeassistant.config_entries import (
    SOURCE_REAUTH,
    SOURCE_RECONFIGURE,
    ConfigEntryState,
    ConfigFlow,
    ConfigFlowResult,
    ConfigSubentry,
)
from homeassistant.const import CONF_TOKEN
from homeassistant.core import HomeAssistant, callback
from homeassistant.data_entry_flow import UnknownFlow
import probatio as vol

from .engine.replica import InfluxError, Reason, check_connection
from .form_fields import SECRET
from .replica_settings import influx_settings

if TYPE_CHECKING:
    from .runtime import HomeIQConfigEntry

ATTR_SUBENTRY_ID: Final = "subentry_id"
ATTR_SUBENTRY_TYPE: Final = "subentry_type"

# Home Assistant drops a reauthentication beside any of these.
_EXCLUSIVE: Final = {SOURCE_REAUTH, SOURCE_RECONFIGURE}
_TOKEN: Final = vol.Schema({vol.Required(CONF_TOKEN): SECRET})


class ReauthFlow(ConfigFlow):
    """Ask for the token of one connection; the entry's config flow is built on it."""

    _subentry_id: str

    async def async_step_reauth(self, entry_data: Mapping[str, Any]) -> ConfigFlowResult:
        """Take note of whose token is refused."""
        self._subentry_id = entry_data[ATTR_SUBENTRY_ID]
        return await self.async_step_reauth_confirm()

    async def async_step_reauth_confirm(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for a new token, test it and keep it; the update listener uses it at once."""
        if (subentry := self._subentry()) is None:
            return self.async_abort(reason="connection_removed")
        errors: dict[str, str] = {}
        placeholders: dict[str, str] = {"name": subentry.title, "url": subentry.data["url"], "error": ""}
        if user_input is not None:
            data = {**subentry.data, CONF_TOKEN: user_input[CONF_TOKEN].strip()}
            problem = await _refusal(data)
            if problem is not None:
                errors["base"] = problem.reason
                placeholders |= problem.placeholders
            else:
                if (subentry := self._subentry()) is None:
                    return self.async_abort(reason="connection_removed")
                self.hass.config_entries.async_update_subentry(
                    self._get_reauth_entry(), subentry, data={**subentry.data, CONF_TOKEN: data[CONF_TOKEN]}
                )
                return self.async_abort(reason="reauth_successful")
        return self.async_show_form(
            step_id="reauth_confirm", data_schema=_TOKEN, errors=errors, description_placeholders=placeholders
        )

    @callback
    @override
    def async_remove(self) -> None:
        """Let the next connection have its turn."""
        if self.source not in _EXCLUSIVE:
            return
        entry: HomeIQConfigEntry | None = self.hass.config_entries.async_get_entry(self.context["entry_id"])
        if entry is not None and entry.state is ConfigEntryState.LOADED:
            # Later: the flow manager has not finished with this one.
            self.hass.loop.call_soon(entry.runtime_data.replicas.reauth.async_flow_ended)

    def _subentry(self) -> ConfigSubentry | None:
        return self._get_reauth_entry().subentries.get(self._subentry_id)


async def _refusal(data: Mapping[str, Any]) -> InfluxError | None:
    """Return why the server does not take this token; a missing bucket is another matter, with an issue of its own."""
    try:
        await check_connection(influx_settings(data))
    except InfluxError as err:
        return None if err.reason is Reason.BUCKET_NOT_FOUND else err
    return None


class ReauthQueue:
    """Start one reauthentication after another while there are connections whose token is refused."""

    def __init__(self, hass: HomeAssistant, entry: HomeIQConfigEntry, refused: Callable[[], set[str]]) -> None:
        """Take what names the subentries whose token is refused now."""
        self._hass = hass
        self._entry = entry
        self._refused = refused
        # Asked for once or more, longest ago first.
        self._asked: list[str] = []
        self.closed = False

    @callback
    def async_check(self) -> None:
        """End the flow of a connection that works again, and start the next one."""
        refused = self._refused()
        for flow in list(self._entry.async_get_active_flows(self._hass, {SOURCE_REAUTH})):
            asked_for = self._asked[-1] if self._asked else None
            if asked_for not in refused:
                with suppress(UnknownFlow):
                    self._hass.config_entries.flow.async_abort(flow["flow_id"])
        self._async_start(refused)

    @callback
    def async_flow_ended(self) -> None:
        """Start the next flow; the one that ended comes again with the next check, if its token is still refused."""
        self._async_start(self._refused() - set(self._asked[-1:]))

    @callback
    def _async_start(self, refused: set[str]) -> None:
        waiting = [subentry_id for subentry_id in self._entry.subentries if subentry_id in refused]
        if self.closed or not waiting or any(self._entry.async_get_active_flows(self._hass, _EXCLUSIVE)):
            return
        self._asked = [subentry_id for subentry_id in self._asked if subentry_id in self._entry.subentries]
        subentry_id = min(waiting, key=lambda each: self._asked.index(each) if each in self._asked else -1)
        self._asked = [each for each in self._asked if each != subentry_id] + [subentry_id]
        subentry = self._entry.subentries[subentry_id]
        self._entry.async_start_reauth(
            self._hass,
            context={"title_placeholders": {"name": subentry.title}},
            data={ATTR_SUBENTRY_ID: subentry_id, ATTR_SUBENTRY_TYPE: subentry.subentry_type},
        )
