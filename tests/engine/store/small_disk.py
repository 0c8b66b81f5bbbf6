"""Make a disk of one megabyte that can be filled, freed, made read-only and writable."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
import subprocess

import pytest


class SmallDisk:
    """Be a tmpfs of a given size."""

    def __init__(self, folder: Path) -> None:
        """Take the folder that it is mounted on."""
        self.folder = folder
        self._ballast = folder / "ballast"

    def fill(self) -> None:
        """Take all the space that is left."""
        with self._ballast.open("ab", buffering=0) as ballast, suppress(OSError):
            while True:
                ballast.write(bytes(4096))

    def free(self) -> None:
        """Give the space back."""
        self._ballast.unlink()

    def make(self, mode: str) -> None:
        """Mount it anew as ``ro`` or ``rw``."""
        subprocess.run(["mount", "-o", f"remount,{mode}", str(self.folder)], check=True)


@contextmanager
def small_disk(folder: Path, size: str = "1m") -> Iterator[SmallDisk]:
    """Mount a small disk for a while; skips the test where that is not allowed."""
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("mounting a tmpfs needs root")
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)
