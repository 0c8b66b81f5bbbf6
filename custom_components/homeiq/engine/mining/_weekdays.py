"""Choose the days of the week that a habit keeps to: the set under which its days are most probable.

Each set of weekdays is a hypothesis: the habit has one rate on these days and another on the rest, both unknown (uniform
priors), so the marginal likelihood is a product of two Beta functions. A prior weighs the sets: it is what corrects for
trying 127 of them (Scott, J. and Berger, J. (2010), Bayes and empirical-Bayes multiplicity adjustment, Ann. Stat. 38).
A significance test would call a habit daily until a weekend had contradicted it often; this asks what is likelier.
"""

from itertools import combinations
from typing import Final

import numpy as np

from ._calendar import Bools, Ints
from ._circular import Floats
from ._significance import log_factorials

ALL: Final = (0, 1, 2, 3, 4, 5, 6)
WEEKDAYS: Final = (0, 1, 2, 3, 4)
WEEKEND: Final = (5, 6)

_SETS: Final = tuple(days for size in range(1, 8) for days in combinations(ALL, size))
LOOKS: Final = len(_SETS)
"""How many sets of weekdays are tried for each time of day."""

# Most things are done daily or on working days; a tenth is left for single days and a tenth for all other sets.
_NAMED: Final = {ALL: 0.5, WEEKDAYS: 0.2, WEEKEND: 0.1}
_SINGLE: Final = 0.1 / 7
_OTHER: Final = 0.1 / (LOOKS - len(_NAMED) - 7)
_LOG_PRIOR: Final = np.log([_NAMED.get(days, _SINGLE if len(days) == 1 else _OTHER) for days in _SETS])
_MEMBERS: Final = np.array([[day in days for day in ALL] for days in _SETS], dtype=np.int64)


def members(weekday: Ints, weekdays: tuple[int, ...]) -> Bools:
    """Return which days belong to a set of weekdays."""
    chosen = np.zeros(len(ALL), dtype=np.bool_)
    chosen[list(weekdays)] = True
    return chosen[weekday]


def likeliest(held: Bools, possible: Bools, weekday: Ints) -> tuple[int, ...]:
    """Return the set of weekdays that the days speak for, among those on which the habit holds more than on the rest."""
    days = np.bincount(weekday[possible], minlength=7)
    kept = np.bincount(weekday[held & possible], minlength=7)
    n, k = _MEMBERS @ days, _MEMBERS @ kept
    other_n, other_k = n[-1] - n, k[-1] - k
    scores = _LOG_PRIOR + _log_beta(k, n) + _log_beta(other_k, other_n)
    scores[(k * other_n <= other_k * n) & (np.arange(LOOKS) < LOOKS - 1)] = -np.inf
    return _SETS[int(scores.argmax())]


def _log_beta(successes: Ints, trials: Ints) -> Floats:
    """Return the logarithm of the marginal likelihood of some days' outcomes under a rate that may be anything."""
    logs = log_factorials(int(trials.max()) + 1)
    marginal: Floats = logs[successes] + logs[trials - successes] - logs[trials + 1]
    return marginal
