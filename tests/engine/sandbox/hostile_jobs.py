"""Misbehave in every way that a job in a child can."""

from dataclasses import dataclass
import os
from pathlib import Path
import signal
import sys
import time


@dataclass(frozen=True, kw_only=True)
class HostileJob:
    """Look like a job of the product's table."""

    target: str
    confined: bool = True
    warm: tuple[str, ...] = ()


def echo(payload: object) -> object:
    """Answer with the payload."""
    return payload


def modules(_: object) -> list[str]:
    """Tell what has been imported."""
    return sorted(sys.modules)


def surroundings(_: object) -> dict[str, object]:
    """Tell what the process can see of the world."""
    status = Path("/proc/self/status").read_text(encoding="ascii") if Path("/proc").exists() else ""
    return {
        "environment": sorted(os.environ),
        "folder": str(Path.cwd()),
        "session": os.getsid(0) == os.getpid(),
        "files": sorted(int(entry.name) for entry in Path("/proc/self/fd").iterdir()),
        "no_new_privileges": "NoNewPrivs:\t1" in status,
    }


def origins(_: object) -> dict[str, str]:
    """Tell where third-party packages come from."""
    import jinja2  # noqa: PLC0415
    import yaml  # noqa: PLC0415

    return {"yaml": str(yaml.__file__), "jinja2": str(jinja2.__file__)}


def spin(_: object) -> None:
    """Use the processor for ever."""
    while True:
        pass


def sleep(_: object) -> None:
    """Do nothing for ever."""
    time.sleep(3600)


def allocate(_: object) -> int:
    """Ask for 2 GiB."""
    return len(bytearray(2 * 1024**3))


def flood(_: object) -> None:
    """Write 100 MB where the answer belongs."""
    block = b"x" * 1_000_000
    for _ in range(100):
        os.write(1, block)


def chatter(_: object) -> str:
    """Write 1 MB to stderr and print; neither is an answer."""
    print("x" * 1_000_000)
    os.write(2, b"y" * 10_000)
    return "done"


def forge(_: object) -> None:
    """Answer with something that is not JSON."""
    os.write(1, b"\xff\x00 no JSON")


def nest(_: object) -> None:
    """Answer with JSON nested too deeply for any reader, and end well."""
    os.write(1, b"[" * 1_000_000)
    os._exit(0)


def mute(_: object) -> None:
    """End well without an answer."""
    os._exit(0)


def other(_: object) -> None:
    """Answer with JSON of another shape, and end well."""
    os.write(1, b'{"error": "because", "message": 1}')
    os._exit(0)


def invent_reason(_: object) -> None:
    """Claim a reason that only the parent may give, and end well."""
    os.write(1, b'{"error": "timeout", "message": "no"}')
    os._exit(0)


def die(_: object) -> None:
    """End by a fault."""
    os.kill(os.getpid(), signal.SIGSEGV)


def kill_by_number(_: object) -> None:
    """End with a status that is no signal."""
    os._exit(7)


def fail(_: object) -> None:
    """Raise an error with a long text."""
    raise ValueError("on purpose " * 200)


def leave(_: object) -> None:
    """Leave without an answer."""
    raise SystemExit


def not_json(_: object) -> object:
    """Answer with a value that JSON does not have."""
    return {"when": object()}


def nan(_: object) -> float:
    """Answer with a number that JSON does not have."""
    return float("nan")


def write_file(path: object) -> str:
    """Write a file."""
    Path(str(path)).write_text("x", encoding="ascii")
    return "written"


def read_file(path: object) -> str:
    """Read a file."""
    return Path(str(path)).read_text(encoding="utf-8")


def leave_child(path: object) -> None:
    """Start a process that outlives this one, note its number in a file and answer."""
    child = os.fork()
    if child == 0:
        time.sleep(3600)
        os._exit(0)
    Path(str(path)).write_text(str(child), encoding="ascii")
    os.close(1)
    os._exit(0)


def note_and_sleep(path: object) -> None:
    """Note the own number in a file and sleep."""
    Path(str(path)).write_text(str(os.getpid()), encoding="ascii")
    time.sleep(3600)


_OPEN = {"surroundings", "write_file", "leave_child", "note_and_sleep", "origins", "modules"}
_CONFINED_TOO = {"write_file_confined": "write_file", "read_file_confined": "read_file"}
_NAMES = [
    name for name, value in list(globals().items()) if callable(value) and not name[0].isupper() and name != "dataclass"
]
JOBS = {name: HostileJob(target=f"hostile_jobs:{name}", confined=name not in _OPEN) for name in _NAMES} | {
    name: HostileJob(target=f"hostile_jobs:{function}") for name, function in _CONFINED_TOO.items()
}
JOBS["read_file"] = HostileJob(target="hostile_jobs:read_file", confined=False)
JOBS["warm_missing"] = HostileJob(target="hostile_jobs:echo", warm=("no_such_module_anywhere",))
