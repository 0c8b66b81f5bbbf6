"""The child's own pieces: import path, limits, answers."""

from importlib.util import module_from_spec, spec_from_file_location
import json
from pathlib import Path
import resource
from types import ModuleType

import pytest

SANDBOX = Path(__file__).parents[3] / "custom_components" / "homeiq" / "engine" / "sandbox"


def load(name: str) -> ModuleType:
    """Load one of the child's files by path, as the child does."""
    spec = spec_from_file_location(f"homeiq_test_{name}", SANDBOX / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


child = load("_child")
confine = load("_confine")


def raise_memory_error(_: object) -> None:
    """Run out of memory."""
    raise MemoryError


def test_the_parents_folders_come_after_the_standard_library_and_before_site_packages() -> None:
    path = ["/usr/lib/python314.zip", "/usr/lib/python3.14", "/venv/site-packages", "/usr/lib/dist-packages"]
    assert child.import_path(path, ["/config/deps", "/venv/site-packages"]) == [
        "/usr/lib/python314.zip",
        "/usr/lib/python3.14",
        "/config/deps",
        "/venv/site-packages",
        "/usr/lib/dist-packages",
    ]


def test_a_file_that_is_not_there_cannot_be_loaded() -> None:
    with pytest.raises(FileNotFoundError):
        child.load_by_path("nothing", SANDBOX / "nothing.py")
    with pytest.raises(ImportError):
        child.load_by_path("nothing", SANDBOX / "no_python")


def test_an_answer_is_wrapped_and_errors_are_told() -> None:
    assert json.loads(child.perform(lambda payload: payload, b"[1]")) == {"ok": [1]}
    assert json.loads(child.perform(raise_memory_error, b"1")) == {"error": "memory", "message": "out of memory"}
    assert json.loads(child.perform(len, b"1"))["error"] == "failed"
    assert json.loads(child.perform(len, b"no JSON"))["error"] == "failed"


def test_a_confined_child_may_not_open_write_or_start_anything() -> None:
    limits = confine.plan(cpu_s=3, memory_mb=64, confined=True, in_use=1000)
    assert limits == {
        resource.RLIMIT_CORE: (0, 0),
        resource.RLIMIT_CPU: (3, 4),
        resource.RLIMIT_AS: (1000 + 64 * 2**20, 1000 + 64 * 2**20),
        resource.RLIMIT_FSIZE: (0, 0),
        resource.RLIMIT_NPROC: (0, 0),
        resource.RLIMIT_NOFILE: (3, 3),
    }


def test_every_planned_limit_is_set() -> None:
    taken: dict[int, tuple[int, int]] = {}
    confine.confine(cpu_s=3, memory_mb=64, confined=False, setrlimit=taken.__setitem__)
    assert set(taken) == {resource.RLIMIT_CORE, resource.RLIMIT_CPU, resource.RLIMIT_AS}
    assert taken[resource.RLIMIT_AS][0] > 64 * 2**20


def test_a_kernel_that_does_not_tell_the_size_leaves_half_a_gibibyte(tmp_path: Path) -> None:
    assert confine.address_space_bytes(tmp_path / "nothing") == 512 * 2**20


def test_a_library_without_prctl_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_library(*_: object, **__: object) -> object:
        raise OSError

    monkeypatch.setattr("ctypes.CDLL", no_library)
    assert confine.forbid_new_privileges() is False
