"""Generate homes whose habits are known: lights, switches, locks, persons, motion, temperature, and what hides in them.

Standard library only, so that `script/demo` can use it beside the tests. The same home, seed, time zone and day give
the same steps whatever span is asked for.
"""

from ._data import read_ordonez_a
from ._generate import generate, initial_steps
from ._home import AutomationSpec, Home, Thing, demo_home
from ._model import Cause, Day, Plan, Planted, Step

__all__ = [
    "AutomationSpec",
    "Cause",
    "Day",
    "Home",
    "Plan",
    "Planted",
    "Step",
    "Thing",
    "demo_home",
    "generate",
    "initial_steps",
    "read_ordonez_a",
]
