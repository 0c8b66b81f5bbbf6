"""Say which files a service may read and write: those of HomeIQ's own folder, and of folders the user has allowed."""

from contextlib import suppress
from pathlib import Path
from typing import Final

from homeassistant.core import HomeAssistant

from .const import STORE_FILE
from .places import ESSENTIALS_FILE, Places
from .service_fields import error

EXPORT_FOLDER: Final = "exports"
_PATH: Final = "path"
# A path longer than this is none on any system; the value is shown in the message.
LONGEST_PATH: Final = 1_000


def source_path(hass: HomeAssistant, places: Places, value: str) -> Path:
    """Return the file to read; raises ServiceValidationError if it may not be read or is not there. Runs in a thread."""
    path = _allowed(hass, places, value)
    if not path.is_file():
        raise error("file_missing", field=_PATH, value=value)
    return path


def target_path(hass: HomeAssistant, places: Places, value: str) -> Path:
    """Return the file to write, in a folder that is there; raises ServiceValidationError. Runs in a thread.

    What is there already is never written over.
    """
    path = _allowed(hass, places, value)
    if path.name.startswith((STORE_FILE, ESSENTIALS_FILE)):
        # These names have a meaning beside a store.
        raise error("path_in_use", field=_PATH, value=value)
    if path.exists():
        raise error("file_exists", field=_PATH, value=value)
    if path.is_relative_to(_real(places.folder)):
        # A file may stand in the way, or the disk be full.
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
    if not path.parent.is_dir():
        raise error("folder_missing", field=_PATH, value=value)
    return path


def _allowed(hass: HomeAssistant, places: Places, value: str) -> Path:
    """Return where the path really leads, links followed; what is not absolute begins in HomeIQ's own folder."""
    try:
        path = _real(places.folder / value)
    except (OSError, ValueError, RuntimeError) as err:
        # A name with a zero byte, or links in a circle.
        raise error("invalid_value", field=_PATH, value=repr(value)[1:-1]) from err
    own = (_real(places.inside.parent), _real(places.outside.parent))
    if not any(path.is_relative_to(folder) for folder in own) and not hass.config.is_allowed_path(str(path)):
        raise error("path_not_allowed", field=_PATH, value=value)
    if _is_live(path, places):
        raise error("path_in_use", field=_PATH, value=value)
    return path


def _real(path: Path) -> Path:
    return path.resolve()


def _is_live(path: Path, places: Places) -> bool:
    """Return whether the path is a file that HomeIQ itself has open or writes."""
    live = {
        _real(store.with_name(store.name + suffix))
        for store in (places.inside, places.outside)
        for suffix in ("", "-wal", "-shm", "-journal", ".lock", ".restoring")
    }
    return path in live
