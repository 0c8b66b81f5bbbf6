"""Tell chance from habit: intervals, exact tails and the control of false discoveries.

The formulas are the textbooks'; scipy is not a requirement of Home Assistant's, so they stand here in numpy.
"""

from collections.abc import Sequence
from functools import lru_cache
from math import sqrt
from typing import Final

import numpy as np

from ._circular import Floats

Z_95: Final = 1.959963984540054
"""The 97.5 % quantile of the normal distribution: two-sided 95 %."""


def wilson(successes: int, trials: int, z: float = Z_95) -> tuple[float, float]:
    """Return the Wilson score interval of a share.

    Wilson, E. B. (1927), Probable inference, the law of succession, and statistical inference, JASA 22, 209-212.
    Raises ValueError without a denominator or with more successes than trials.
    """
    if not 0 <= successes <= trials or trials == 0:
        raise ValueError(f"no share: {successes} of {trials}")
    share = successes / trials
    shrink = 1 + z * z / trials
    centre = (share + z * z / (2 * trials)) / shrink
    half = z * sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials)) / shrink
    return max(0.0, centre - half), min(1.0, centre + half)


def binomial_tail(successes: int, trials: int, chance: float) -> float:
    """Return the probability of at least ``successes`` in ``trials`` at ``chance`` each; exact, summed in logarithms.

    Raises ValueError if the chance is not strictly between 0 and 1.
    """
    if not 0 < chance < 1:
        raise ValueError(f"no chance: {chance}")
    if successes <= 0:
        return 1.0
    k = np.arange(successes, trials + 1)
    logs = log_factorials(trials)
    terms = logs[trials] - logs[k] - logs[trials - k] + k * np.log(chance) + (trials - k) * np.log1p(-chance)
    return float(min(1.0, np.exp(terms).sum()))


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Return the q-value of each p-value: the false discovery rate at which it would just be called a discovery.

    Benjamini, Y. and Hochberg, Y. (1995), Controlling the false discovery rate, JRSS B 57, 289-300.
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    scaled = p[order] * len(p) / np.arange(1, len(p) + 1)
    q = np.empty_like(p)
    q[order] = np.minimum(1.0, np.minimum.accumulate(scaled[::-1])[::-1])
    return [float(value) for value in q]


def log_factorials(most: int) -> Floats:
    """Return log(0!), log(1!) and so on, at least to log(most!)."""
    # Powers of two, so that few tables are made.
    return _log_factorials(1 << most.bit_length())


@lru_cache(maxsize=16)
def _log_factorials(size: int) -> Floats:
    table: Floats = np.concatenate(([0.0], np.cumsum(np.log(np.arange(1, size + 1)))))
    table.flags.writeable = False
    return table
