"""Know where the store's file is: inside or outside of what Home Assistant puts into its backups.

Home Assistant has no way to leave a custom integration's file out. Its own backups and Supervisor's leave out a few
patterns of names, and those match directly below the configuration folder only (``PurePath.full_match``): of a folder
``homeiq.log.store`` all is left out by ``*.log.*``, with the write-ahead log.
"""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
import shutil
from typing import Final

from homeassistant.core import HomeAssistant

from .const import LOGGER, STORE_FILE, STORE_FOLDER
from .engine.model import StoreError
from .engine.store import begin_store, move_store, remove_files, store_size

OUTSIDE_FOLDER: Final = "homeiq.log.store"
ESSENTIALS_FILE: Final = "homeiq.essentials.db"
# A store up to this size goes into the backups whole, unless the user wants it otherwise.
WHOLE_UP_TO_BYTES: Final = 200_000_000


class BackupContent(StrEnum):
    """Name what of the store goes into Home Assistant's backups."""

    AUTO = "auto"
    ALL = "all"
    ESSENTIALS = "essentials"


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Hold the paths below one configuration folder; nothing is looked up before it is asked for."""

    config: Path

    @classmethod
    def of(cls, hass: HomeAssistant) -> Places:
        """Return the places of a Home Assistant."""
        return cls(config=Path(hass.config.config_dir))

    @property
    def folder(self) -> Path:
        """Return the folder that is part of Home Assistant's backups."""
        return self.config / STORE_FOLDER

    @property
    def inside(self) -> Path:
        """Return the store's file where it is in the backups."""
        return self.folder / STORE_FILE

    @property
    def outside(self) -> Path:
        """Return the store's file where it is not in the backups."""
        return self.config / OUTSIDE_FOLDER / STORE_FILE

    @property
    def essentials(self) -> Path:
        """Return the file that stands in the backups for a store that is not."""
        return self.folder / ESSENTIALS_FILE


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """Say where the store is now, what of it the backups hold, and why that is not as wanted, if it is not."""

    path: Path
    content: BackupContent
    brought_back: bool = False
    problem: str | None = None


def settle(places: Places, wanted: BackupContent) -> Settled:
    """Bring the closed store to where the option wants it; where there is none, begin with the essentials.

    Runs in a thread. Never raises for a file that cannot be moved: the store is used where it is, with ``problem`` set.
    """
    content = _decide(places, wanted)
    target, other = (places.inside, places.outside) if content is BackupContent.ALL else (places.outside, places.inside)
    try:
        if target.exists():
            if other.exists():
                LOGGER.warning("There are two stores: %s is used, %s is left alone", target, other)
        elif other.exists():
            move_store(other, target)
            LOGGER.info("The store was moved to %s", target)
        elif places.essentials.exists():
            begin_store(places.essentials, target)
            LOGGER.warning("There was no store; it was begun with the essentials of the backup, %s", places.essentials)
            return Settled(path=target, content=content, brought_back=True)
        if content is BackupContent.ALL:
            # What the backups hold whole needs no extract, and an old one must not come back one day.
            places.essentials.unlink(missing_ok=True)
    except (StoreError, OSError) as err:
        LOGGER.warning("The store could not be brought to %s: %s", target, err)
        stays = target if target.exists() or not other.exists() else other
        kept = BackupContent.ALL if stays == places.inside else BackupContent.ESSENTIALS
        return Settled(path=stays, content=kept, problem=str(err))
    return Settled(path=target, content=content)


def store_bytes(places: Places) -> int:
    """Return how large the store is, wherever it is; runs in a thread."""
    return store_size(places.inside) + store_size(places.outside)


def essentials_bytes(places: Places) -> int | None:
    """Return how large the extract for the backups is, None if there is none; runs in a thread."""
    try:
        return places.essentials.stat().st_size
    except FileNotFoundError, NotADirectoryError:
        return None


def free_bytes(places: Places) -> int:
    """Return the free space on the disk of the configuration folder; runs in a thread."""
    return shutil.disk_usage(places.config).free


def remove_all(places: Places) -> None:
    """Delete the store wherever it is and what belongs to it, but no export; raises OSError."""
    for path in (places.inside, places.outside):
        remove_files(path)
    places.essentials.unlink(missing_ok=True)
    if places.outside.parent.is_dir() and not any(places.outside.parent.iterdir()):
        places.outside.parent.rmdir()


def _decide(places: Places, wanted: BackupContent) -> BackupContent:
    if wanted is not BackupContent.AUTO:
        return wanted
    return BackupContent.ALL if store_bytes(places) <= WHOLE_UP_TO_BYTES else BackupContent.ESSENTIALS
