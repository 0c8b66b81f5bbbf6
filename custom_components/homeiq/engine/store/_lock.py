"""Keep a second HomeIQ off the store: a lock on a file beside it, which the kernel releases when its holder dies."""

import errno
import fcntl
import logging
import os
from pathlib import Path
from typing import Final

from ..model import StoreInUseError
from ._integrity import LOCK, identity

_LOGGER = logging.getLogger(__name__)

_HELD_BY_ANOTHER: Final = frozenset({errno.EWOULDBLOCK, errno.EACCES})


class StoreLock:
    """Be the lock of one store file; blocking calls, one at a time, for a thread.

    A file of its own carries the lock, because a store file is replaced under its name and SQLite locks parts of it.
    """

    def __init__(self, path: Path) -> None:
        """Take the store's path; nothing is locked yet."""
        self._path = path.with_name(path.name + LOCK)
        self._descriptor: int | None = None

    def acquire(self) -> bool:
        """Take the lock unless it is held, and return whether it was taken now.

        Raises StoreInUseError if somebody else holds it and OSError if its file cannot be made.
        """
        if self._descriptor is not None:
            if self._is_current(self._descriptor):
                return False
            # The folder was deleted meanwhile: a lock on a file without a name keeps nobody off.
            self.release()
        while True:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                self._lock(descriptor)
                current = self._is_current(descriptor)
            except BaseException:
                os.close(descriptor)
                raise
            if current:
                self._descriptor = descriptor
                return True
            # Whoever had it has deleted the file between our opening and locking it.
            os.close(descriptor)

    def release(self) -> None:
        """Let go of the lock and delete its file; raises OSError if that cannot be done."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is None:
            return
        try:
            # Whoever has opened the file meanwhile sees, once it has the lock, that the file is gone.
            if self._is_current(descriptor):
                self._path.unlink(missing_ok=True)
        finally:
            os.close(descriptor)

    def _lock(self, descriptor: int) -> None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as err:
            if err.errno in _HELD_BY_ANOTHER:
                raise StoreInUseError(f"{self._path} is locked", reason="in_use", path=str(self._path)) from err
            # Some network file systems have no locks; HomeIQ worked without one there, and still does.
            _LOGGER.warning("The file system cannot lock %s: %s", self._path, err)

    def _is_current(self, descriptor: int) -> bool:
        status = os.fstat(descriptor)
        return identity(self._path) == (status.st_dev, status.st_ino)
