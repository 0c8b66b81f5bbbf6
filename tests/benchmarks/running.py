"""Run a bench as `script/bench` does, without setting anything up."""

import json
from pathlib import Path
import subprocess
import sys
from typing import Any

_ROOT = Path(__file__).parents[2]


def run_bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the program with some arguments."""
    return subprocess.run(
        [sys.executable, str(_ROOT / "script" / "_bench" / "main.py"), *arguments],
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )


def quick_answer(name: str) -> Any:
    """Return the JSON of a quick run, which must end well."""
    done = run_bench(name, "--quick", "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])
