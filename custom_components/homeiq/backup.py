"""Make ready for Home Assistant's backups, and go on afterwards; nothing to do while no entry is loaded.

Home Assistant calls every platform before and after each backup, after it also if the backup failed. Supervisor sends the
same two messages, the second not if it dies meanwhile; what was made ready ends by itself then.
"""

from homeassistant.core import HomeAssistant

from .const import DOMAIN
from .runtime import HomeIQConfigEntry


async def async_pre_backup(hass: HomeAssistant) -> None:
    """Bring what the backup takes up to date and keep it still; at most 10 s, and no trouble stops the home's backup."""
    entries: list[HomeIQConfigEntry] = hass.config_entries.async_loaded_entries(DOMAIN)
    for entry in entries:
        await entry.runtime_data.care.guard.async_prepare()


async def async_post_backup(hass: HomeAssistant) -> None:
    """Go on as before."""
    entries: list[HomeIQConfigEntry] = hass.config_entries.async_loaded_entries(DOMAIN)
    for entry in entries:
        await entry.runtime_data.care.guard.async_release()
