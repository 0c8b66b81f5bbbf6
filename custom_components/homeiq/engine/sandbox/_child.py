"""Be the child: load the engine without Home Assistant, take on limits, do one job, answer, end.

Started as ``python -I _child.py REQUEST``, where REQUEST is JSON: ``job`` names an entry of ``engine/jobs.py``,
``folders`` are import folders of third-party packages, ``cpu_s`` and ``memory_mb`` are limits. The payload comes as
JSON on stdin; one JSON object goes to stdout: ``{"ok": answer}`` or ``{"error": reason, "message": text}``.

This file is run by path and loads its neighbours by path, so that nothing of the parent's half (asyncio) is imported.
"""

from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
import json
from pathlib import Path
import sys
from types import ModuleType
from typing import BinaryIO, Protocol

_HERE = Path(__file__).resolve().parent


class JobLike(Protocol):
    """Be what the child needs to know of a job."""

    @property
    def target(self) -> str:
        """Return ``module:function``, the module relative to the engine package."""
        ...

    @property
    def confined(self) -> bool:
        """Return whether the job needs no file."""
        ...

    @property
    def warm(self) -> tuple[str, ...]:
        """Return the modules to import before the limits hold."""
        ...


def load_by_path(name: str, path: Path) -> ModuleType:
    """Import one file under a name of its own. Raises ImportError if it is not there."""
    spec = spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"cannot load {path}")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def import_path(path: list[str], folders: list[str]) -> list[str]:
    """Return the import path with the parent's folders behind the standard library and before site-packages."""
    site = [entry for entry in path if Path(entry).name in {"site-packages", "dist-packages"}]
    own = [entry for entry in path if entry not in site]
    return list(dict.fromkeys([*own, *folders, *site]))


def find_target(job: JobLike, package: str) -> Callable[[object], object]:
    """Import what the job needs and return its function. Raises ImportError or AttributeError."""
    for name in job.warm:
        import_module(name)
    module, _, function = job.target.partition(":")
    target: Callable[[object], object] = getattr(import_module(module, package), function)
    return target


def perform(target: Callable[[object], object], raw: bytes) -> bytes:
    """Do the job on the payload and return the answer as JSON; whatever the job raises becomes an answer too."""
    try:
        return json.dumps({"ok": target(json.loads(raw))}, allow_nan=False).encode()
    except MemoryError:
        return _refusal("memory", "out of memory")
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the boundary of the process: the parent is told, whatever it was
        return _refusal("failed", f"{type(error).__name__}: {error}"[:500])


def _refusal(reason: str, message: str) -> bytes:
    return json.dumps({"error": reason, "message": message}).encode()


def serve(jobs: Mapping[str, JobLike], request: Mapping[str, object], streams: tuple[BinaryIO, BinaryIO]) -> None:
    """Do one job of the table, reading the payload from the first stream and answering on the second.

    What a job prints goes to stderr, so that it cannot spoil the answer. Raises KeyError for an unknown job and
    OSError or ValueError if the limits cannot be taken on: then nothing has been read.
    """
    source, sink = streams
    sys.stdout = sys.stderr
    job = jobs[str(request["job"])]
    target = find_target(job, "homeiq_engine")
    confinement = load_by_path("homeiq_confine", _HERE / "_confine.py")
    confinement.confine(cpu_s=request["cpu_s"], memory_mb=request["memory_mb"], confined=job.confined)
    sink.write(perform(target, source.read()))
    sink.flush()


def main(jobs_module: str | None = None, argument: str | None = None) -> None:
    """Set up the import path and the engine, then serve the one job that the command line names."""
    request = json.loads(argument if argument is not None else sys.argv[1])
    sys.path[:] = import_path(sys.path, request["folders"])
    load_by_path("homeiq_load", _HERE.parent / "load.py").load_engine()
    jobs = import_module(jobs_module or "homeiq_engine.jobs").JOBS
    serve(jobs, request, (sys.stdin.buffer, sys.stdout.buffer))


if __name__ == "__main__":
    main()
