"""The scripts tell wrong usage apart from failure, and setup names the Python it made."""

from pathlib import Path
import subprocess
import sys

import pytest

SCRIPTS = Path(__file__).resolve().parents[1] / "script"


@pytest.mark.parametrize(
    "command",
    [
        ["setup", "now"],
        ["_python314.sh"],
        ["check", "nonsense"],
    ],
)
def test_wrong_usage_of_a_script_ends_with_two(command: list[str]) -> None:
    """A script called wrongly says how it is called, on stderr, does nothing and exits with 2."""
    done = subprocess.run([SCRIPTS / command[0], *command[1:]], capture_output=True, text=True, timeout=60, check=False)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("usage: ")


@pytest.mark.parametrize("name", ["setup", "check"])
def test_a_script_asked_for_help_tells_its_usage_and_does_nothing(name: str) -> None:
    done = subprocess.run([SCRIPTS / name, "--help"], capture_output=True, text=True, timeout=60, check=False)

    assert (done.returncode, done.stderr) == (0, "")
    assert f"usage: script/{name}" in done.stdout
    assert not [line for line in done.stdout.splitlines() if line.startswith(("#", "set "))]


@pytest.mark.parametrize("folder", ["/proc/nope", __file__])
def test_a_folder_that_the_demo_cannot_use_is_wrong_usage(folder: str) -> None:
    program = SCRIPTS / "_demo" / "main.py"
    command = [sys.executable, str(program), "--once", "--dir", folder]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert (done.returncode, done.stdout) == (2, "")
    assert f"--dir {folder}" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("check", ["import_rules", "hass_files", "wheels", "container_entry"])
def test_wrong_usage_of_a_check_ends_with_two(check: str) -> None:
    """A check program called with too many arguments says how it is called and exits with 2."""
    program = SCRIPTS / "checks" / f"{check}.py"

    done = subprocess.run([sys.executable, program, "a", "b"], capture_output=True, text=True, timeout=60, check=False)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("usage: ")


def test_a_breach_makes_a_check_end_with_one(tmp_path: Path) -> None:
    """A check program that finds something names it on stdout and exits with 1."""
    (tmp_path / "__init__.py").write_text("from __future__ import annotations\n")

    done = subprocess.run(
        [sys.executable, SCRIPTS / "checks" / "import_rules.py", tmp_path],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 1
    assert done.stdout.startswith("__init__.py:1: imports __future__")
