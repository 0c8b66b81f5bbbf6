"""Run transfer_process.py and kill it at chosen moments."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
import subprocess
import sys

_PROCESS = Path(__file__).with_name("transfer_process.py")


@contextmanager
def running(*given: object) -> Iterator[subprocess.Popen[str]]:
    """Start it, wait until its store is open, and end it afterwards."""
    with subprocess.Popen(
        [sys.executable, str(_PROCESS), *map(str, given)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        try:
            yield process
        finally:
            process.kill()


def kill_after(progress: int, *given: object) -> None:
    """Start it and kill it when it has told its progress a number of times."""
    with running(*given) as process:
        assert process.stdout is not None
        for _ in range(progress):
            assert process.stdout.readline().strip().isdecimal()
        process.kill()
        process.wait()


def kill_at_step(step: int, *given: object) -> bool:
    """Let it kill itself before a step; return whether it came to its end without that step."""
    with running(*given, step) as process:
        assert process.stdout is not None
        said = process.stdout.read().splitlines()
        assert process.wait() in (0, -9)
        return said[-1:] == ["done"]
