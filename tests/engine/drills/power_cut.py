"""Take from a running store what a power cut would leave of it.

SQLite with ``synchronous = NORMAL`` forces the write-ahead log onto the disk only before a checkpoint writes from it into
the file. So whatever of the log no checkpoint has begun to take may be missing or torn after a power cut; the rest and
the file are there as they are. The frames that a checkpoint has begun with stand in the log's index (``-shm``).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
import os
from pathlib import Path
import random
import shutil
import signal
import struct
import subprocess
import sys
import threading
import time

_HEADER, _FRAME_HEADER = 32, 24
# https://sqlite.org/walformat.html: nBackfill and nBackfillAttempted in the index, the page size in the log's header.
_BACKFILL, _ATTEMPTED, _PAGE_SIZE = 96, 128, 8


class Writer:
    """Run a program that stores numbered events and prints how many are confirmed."""

    def __init__(self, program: Path, *arguments: str) -> None:
        """Start it and wait until something is confirmed."""
        self._process = subprocess.Popen([sys.executable, str(program), *arguments], stdout=subprocess.PIPE, text=True)
        self.confirmed = 0
        self._first = threading.Event()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        assert self._first.wait(30)

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.wait()
        self._reader.join()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Hold it where it is."""
        self._process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.confirmed = int(line)
            self._first.set()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """Say what a power cut left: ``confirmed`` events were confirmed before it, ``lost_bytes`` of the log went."""

    path: Path
    confirmed: int
    lost_bytes: int


def cut_power(writer: Writer, path: Path, target: Path, chance: random.Random) -> Cut:
    """Copy a store as a power cut at this moment may leave it: the end of its log that is not safe is cut off or torn."""
    target.mkdir()
    copy, log = target / path.name, target / f"{path.name}-wal"
    confirmed = writer.confirmed
    with writer.frozen():
        shutil.copy(path, copy)
        shutil.copy(path.with_name(log.name), log)
        index = path.with_name(f"{path.name}-shm").read_bytes()
    return Cut(path=copy, confirmed=confirmed, lost_bytes=_tear(log, index, chance))


def _tear(log: Path, index: bytes, chance: random.Random) -> int:
    """Cut the log at a chance byte that may be missing, and in half of all cases fill up with zeros; return the loss."""
    content = log.read_bytes()
    if len(content) <= _HEADER:
        return 0
    (page_size,) = struct.unpack_from(">I", content, _PAGE_SIZE)
    safe = max(struct.unpack_from("=I", index, offset)[0] for offset in (_BACKFILL, _ATTEMPTED))
    floor = min(_HEADER + safe * (_FRAME_HEADER + page_size), len(content))
    kept = chance.randint(floor, len(content))
    filler = bytes(len(content) - kept) if chance.random() < 0.5 else b""
    log.write_bytes(content[:kept] + filler)
    return len(content) - kept


def wait(chance: random.Random, longest_s: float) -> None:
    """Wait for a chance moment."""
    time.sleep(chance.uniform(0, longest_s))
