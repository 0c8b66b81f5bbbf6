"""Set up HomeIQ: every event kept, habits learnt, automations proposed with proof."""

from homeassistant.const import Platform
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ConfigEntryError
from homeassistant.helpers import config_validation as cv, issue_registry as ir
from homeassistant.helpers.typing import ConfigType

from .const import DOMAIN
from .engine.model import StoreNewerError
from .engine.store import remove_files
from .repairs import ISSUE_STORE_DAMAGED
from .runtime import HomeIQConfigEntry, async_apply, async_start, async_stop, store_path
from .services import async_setup_services

PLATFORMS = [Platform.BINARY_SENSOR, Platform.SENSOR]
CONFIG_SCHEMA = cv.config_entry_only_config_schema(DOMAIN)


async def async_setup(hass: HomeAssistant, config: ConfigType) -> bool:
    """Register the services; they say so themselves while no entry is loaded."""
    async_setup_services(hass)
    return True


async def async_setup_entry(hass: HomeAssistant, entry: HomeIQConfigEntry) -> bool:
    """Start listening and storing."""
    try:
        data = await async_start(hass, entry)
    except StoreNewerError as err:
        raise ConfigEntryError(
            translation_domain=DOMAIN,
            translation_key="store_newer",
            translation_placeholders=dict(err.placeholders),
        ) from err
    entry.runtime_data = data
    # Before anything is waited for: options may change meanwhile.
    entry.async_on_unload(entry.add_update_listener(async_apply))
    try:
        await data.coordinator.async_config_entry_first_refresh()
        await data.replicas.coordinator.async_refresh()
        await hass.config_entries.async_forward_entry_setups(entry, PLATFORMS)
    except BaseException:
        await async_stop(hass, data)
        raise
    return True


async def async_unload_entry(hass: HomeAssistant, entry: HomeIQConfigEntry) -> bool:
    """Take the entities away, commit what waits and close the store."""
    if not await hass.config_entries.async_unload_platforms(entry, PLATFORMS):
        return False
    await async_stop(hass, entry.runtime_data)
    return True


async def async_remove_entry(hass: HomeAssistant, entry: HomeIQConfigEntry) -> None:
    """Delete the store with the entry, as the README and the removal text say."""
    await hass.async_add_executor_job(remove_files, store_path(hass))
    ir.async_delete_issue(hass, DOMAIN, ISSUE_STORE_DAMAGED)
