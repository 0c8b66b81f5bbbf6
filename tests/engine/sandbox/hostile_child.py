"""Be the child of the sandbox tests: the real child's code with a table of ill-behaved jobs.

The product cannot reach these jobs: they are in another program, which only the tests start.
"""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
import sys

HERE = Path(__file__).resolve().parent
CHILD = HERE.parents[2] / "custom_components" / "homeiq" / "engine" / "sandbox" / "_child.py"

spec = spec_from_file_location("homeiq_child", CHILD)
assert spec is not None
assert spec.loader is not None
child = module_from_spec(spec)
spec.loader.exec_module(child)
sys.path.append(str(HERE))
child.main("hostile_jobs")
