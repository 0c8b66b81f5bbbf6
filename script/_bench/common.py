"""Hold what the benches share: the shape of a bench, goals, medians, children that answer in JSON."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
import json
import os
from pathlib import Path
import platform
import statistics
import subprocess
import sys
from typing import Any, Literal

# A child's answer and a bench's: JSON edges.
type Json = dict[str, Any]

# What a coverage run sets to be in every child would be measured with the rest.
_COVERAGE = ("COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG")


class BenchError(Exception):
    """Say why a bench could not be measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Hold what the command line asks for; without ``repeat`` the bench decides."""

    quick: bool = False
    repeat: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Describe a bench: what it is, its JSON's keys, how to run it and how to show its answer."""

    description: str
    keys: str
    run: Callable[[Options], Json]
    table: Callable[[Json], str]


def log(text: str) -> None:
    """Say something on stderr."""
    sys.stderr.write(f"homeiq bench: {text}\n")
    sys.stderr.flush()


def median(values: Sequence[float]) -> float:
    """Return the median, rounded to four significant digits."""
    return significant(statistics.median(values))


def quantile(ordered: Sequence[float], share: float) -> float:
    """Return the value that so large a share of sorted values does not exceed."""
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def significant(value: float) -> float:
    """Return a number rounded to four significant digits."""
    return float(f"{value:.4g}")


def goal(value: float | None, sign: Literal["<=", "<", ">="], limit: float) -> Json:
    """Return a figure beside its goal and whether it is met; a figure that could not be had is None and not met."""
    if value is None:
        return {"value": None, "goal": f"{sign} {limit:g}", "met": False}
    met = {"<=": value <= limit, "<": value < limit, ">=": value >= limit}[sign]
    return {"value": significant(value), "goal": f"{sign} {limit:g}", "met": met}


def machine() -> Json:
    """Describe the machine; ``load`` is its load average of the last minute."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpus": os.cpu_count(),
        "memory_gb": round(memory / 1e9, 1),
        "python": platform.python_version(),
        "system": platform.platform(),
        "load": round(os.getloadavg()[0], 2),
    }


class Child:
    """Talk to a program that runs in a fresh interpreter beside this one."""

    def __init__(self, program: Path, process: subprocess.Popen[bytes]) -> None:
        """Take the process; its stdout is a pipe."""
        self._program = program
        self._process = process

    def wait_line(self) -> None:
        """Wait until it has said that it has begun; raises BenchError if it ends instead."""
        assert self._process.stdout is not None
        if not self._process.stdout.readline():
            raise BenchError(f"{self._program.name} ended with {self._process.wait()} before it began")

    def answer(self, timeout_s: float) -> Json:
        """Wait for its end and return the JSON on its last line; raises BenchError if it fails."""
        try:
            stdout, _ = self._process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired as err:
            raise BenchError(f"{self._program.name} took more than {timeout_s:g} s") from err
        return _answer(self._program, self._process.returncode, stdout)


@contextmanager
def child(program: Path, job: Mapping[str, object]) -> Iterator[Child]:
    """Run a program beside this one; it is ended if it is still there at the end."""
    with subprocess.Popen(
        [sys.executable, str(program), json.dumps(job)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        env=_environment(),
    ) as process:
        try:
            yield Child(program, process)
        finally:
            process.kill()


def run_child(program: Path, job: Mapping[str, object], *, timeout_s: float) -> Json:
    """Run a program in a fresh interpreter, the job as its argument, and return the JSON on its last line.

    Its stderr is this process's. Raises BenchError if it fails.
    """
    try:
        done = subprocess.run(
            [sys.executable, str(program), json.dumps(job)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            env=_environment(),
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired as err:
        raise BenchError(f"{program.name} took more than {timeout_s:g} s") from err
    return _answer(program, done.returncode, done.stdout)


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in _COVERAGE}


def _answer(program: Path, code: int, stdout: bytes) -> Json:
    if code:
        raise BenchError(f"{program.name} ended with {code}")
    try:
        answer: Json = json.loads(stdout.splitlines()[-1])
    except (IndexError, ValueError) as err:
        raise BenchError(f"{program.name} gave no answer") from err
    return answer
