"""Fix what a replica's repair issue tells of, in a few steps."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, override

from homeassistant.components.repairs import RepairsFlow, RepairsFlowResult
from homeassistant.components.repairs.const import FlowType
from homeassistant.config_entries import SOURCE_RECONFIGURE, ConfigEntryState, ConfigSubentry
from homeassistant.helpers import issue_registry as ir
import probatio as vol

from .bucket_retention import CONF_BUCKET_DAYS, RETENTION, retention_s
from .const import CONF_METRICS_ONLY, DOMAIN, SUBENTRY_INFLUXDB
from .engine.model import EngineError
from .engine.replica import InfluxError, create_bucket
from .engine.store import Follower
from .replica_issues import (
    ISSUE_BUCKET_MISSING,
    ISSUE_DEAD_LETTERS,
    ISSUE_METRICS_ONLY,
)
from .replica_settings import influx_settings, replica_name

if TYPE_CHECKING:
    from .runtime import HomeIQConfigEntry

_NOTHING: Final = vol.Schema({})


class ReplicaFixFlow(RepairsFlow):
    """Share what all of them need: the connection, and the way to its settings."""

    async def async_step_init(self, _user_input: dict[str, str] | None = None) -> RepairsFlowResult:
        """Begin with the way to the settings, where nothing else can help."""
        return await self.async_step_confirm()

    async def async_step_confirm(self, user_input: dict[str, str] | None = None) -> RepairsFlowResult:
        """Say what is wrong before the connection's form opens."""
        if user_input is not None:
            return await self.async_step_choose()
        return self.async_show_form(
            step_id="confirm", data_schema=_NOTHING, description_placeholders=self._placeholders()
        )

    async def async_step_choose(self, _user_input: dict[str, str] | None = None) -> RepairsFlowResult:
        """Go on in the connection's own form; the issue clears by itself when the replica works."""
        entry, subentry = self._entry(), self._subentry()
        if entry is None or subentry is None:
            return self.async_abort(reason="connection_removed")
        begun = await self.hass.config_entries.subentries.async_init(
            (entry.entry_id, SUBENTRY_INFLUXDB),
            context={"source": SOURCE_RECONFIGURE, "subentry_id": subentry.subentry_id},
        )
        return self.async_abort(
            reason="continue_in_settings", next_flow=(FlowType.CONFIG_SUBENTRIES_FLOW, begun["flow_id"])
        )

    def _entry(self) -> HomeIQConfigEntry | None:
        """Return the loaded entry, None if there is none now."""
        entry = self.hass.config_entries.async_get_entry(str((self.data or {}).get("entry_id")))
        return entry if entry is not None and entry.state is ConfigEntryState.LOADED else None

    def _subentry(self) -> ConfigSubentry | None:
        entry = self._entry()
        return None if entry is None else entry.subentries.get(str((self.data or {}).get("subentry_id")))

    def _placeholders(self) -> dict[str, str]:
        issue = ir.async_get(self.hass).async_get_issue(DOMAIN, self.issue_id)
        return {"error": "", **((issue and issue.translation_placeholders) or {})}


class BucketMissingFlow(ReplicaFixFlow):
    """Create the bucket that is missing, or choose another."""

    @override
    async def async_step_init(self, _user_input: dict[str, str] | None = None) -> RepairsFlowResult:
        """Ask which of the two."""
        return self.async_show_menu(
            step_id="init", menu_options=["create", "choose"], description_placeholders=self._placeholders()
        )

    async def async_step_create(self, user_input: dict[str, Any] | None = None) -> RepairsFlowResult:
        """Ask how long the server shall keep points, and create the bucket."""
        entry, subentry = self._entry(), self._subentry()
        if entry is None or subentry is None:
            return self.async_abort(reason="connection_removed")
        errors: dict[str, str] = {}
        placeholders = self._placeholders()
        if user_input is not None:
            try:
                await create_bucket(influx_settings(subentry.data), retention_s(user_input[CONF_BUCKET_DAYS]))
            except InfluxError as err:
                errors["base"] = err.reason
                placeholders |= err.placeholders
            else:
                entry.runtime_data.replicas.try_again(subentry.subentry_id)
                return self.async_create_entry(data={})
        return self.async_show_form(
            step_id="create", data_schema=RETENTION, errors=errors, description_placeholders=placeholders
        )


class DeadLettersFlow(ReplicaFixFlow):
    """Send dead letters again, or delete them."""

    @override
    async def async_step_init(self, _user_input: dict[str, str] | None = None) -> RepairsFlowResult:
        """Ask which of the two."""
        return self.async_show_menu(
            step_id="init", menu_options=["retry", "purge"], description_placeholders=self._placeholders()
        )

    async def async_step_retry(self, _user_input: dict[str, str] | None = None) -> RepairsFlowResult:
        """Send them again; those that are refused again stay, and so does the issue."""
        entry, subentry = self._entry(), self._subentry()
        replica = None if entry is None or subentry is None else entry.runtime_data.replicas.get(subentry.subentry_id)
        if entry is None or replica is None:
            return self.async_abort(reason="connection_removed")
        try:
            delivered, refused = await replica.retry_dead_letters()
        except EngineError as err:
            return self.async_abort(reason="retry_failed", description_placeholders={"error": str(err)})
        await entry.runtime_data.replicas.coordinator.async_refresh()
        if refused:
            told = {"delivered": str(delivered), "refused": str(refused)}
            return self.async_abort(reason="still_refused", description_placeholders=told)
        return self.async_create_entry(data={})

    async def async_step_purge(self, user_input: dict[str, str] | None = None) -> RepairsFlowResult:
        """Delete them after a confirmation; the events stay in the store."""
        entry, subentry = self._entry(), self._subentry()
        if entry is None or subentry is None:
            return self.async_abort(reason="connection_removed")
        if user_input is None:
            return self.async_show_form(
                step_id="purge", data_schema=_NOTHING, description_placeholders=self._placeholders()
            )
        try:
            await Follower(entry.runtime_data.store, replica_name(subentry.subentry_id)).delete_dead_letters()
        except EngineError as err:
            return self.async_abort(reason="purge_failed", description_placeholders={"error": str(err)})
        await entry.runtime_data.replicas.coordinator.async_refresh()
        return self.async_create_entry(data={})


class MetricsOnlyFlow(ReplicaFixFlow):
    """Accept a copy of the numbers alone, or choose another server."""

    @override
    async def async_step_init(self, _user_input: dict[str, str] | None = None) -> RepairsFlowResult:
        """Ask which of the two."""
        return self.async_show_menu(
            step_id="init", menu_options=["accept", "choose"], description_placeholders=self._placeholders()
        )

    async def async_step_accept(self, _user_input: dict[str, str] | None = None) -> RepairsFlowResult:
        """Send numbers only from now on, and let no retention rely on it."""
        entry, subentry = self._entry(), self._subentry()
        if entry is None or subentry is None:
            return self.async_abort(reason="connection_removed")
        self.hass.config_entries.async_update_subentry(entry, subentry, data={**subentry.data, CONF_METRICS_ONLY: True})
        return self.async_create_entry(data={})


_FLOWS: Final[Mapping[str, type[ReplicaFixFlow]]] = {
    ISSUE_BUCKET_MISSING: BucketMissingFlow,
    ISSUE_DEAD_LETTERS: DeadLettersFlow,
    ISSUE_METRICS_ONLY: MetricsOnlyFlow,
}


def replica_fix_flow(kind: str) -> RepairsFlow:
    """Return the flow for a kind of issue."""
    return _FLOWS.get(kind, ReplicaFixFlow)()
