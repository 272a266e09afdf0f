"""The median of values taken one after another, with an interval that holds it in 95 of 100 measurements.

The ends are order statistics: of n independent values the k-th smallest and the k-th largest hold the median between them
with a probability that only n and k decide,

    coverage = 1 - 2 * P(B < k),    B ~ Binomial(n, 1/2)

whatever the values' distribution. k is the largest that covers 95 %; below six values no k does, and the smallest and the
largest are the ends (n = 5: 94 %, 4: 88 %, 3: 75 %).

Values that follow each other are alike when something slow disturbs them. The distance of the ends from the middle, in ranks,
is then stretched by sqrt(tau): by so much a median of a first-order autoregressive series moves more, at most,

    tau = (1 + r) / (1 - r),    r = (n * r1 + 1) / (n - 4), not below 0

where r1 is the correlation of the values' ranks with those that follow, and the second formula takes away what such an
estimate lacks on average in a short series. What is slower than the whole measurement cannot be seen from within.

References:
    | Order Statistics (David and Nagaraja, 2003), section 7.1: distribution-free intervals of quantiles
    | Bias in the Estimation of Autocorrelations (Kendall, 1954; Marriott and Pope, 1954)
    | Monte Carlo Methods in Statistical Mechanics (Sokal, 1997), section 3: tau
"""

from collections.abc import Sequence
from functools import cache
from math import comb, floor, sqrt

import numpy as np
from numpy.typing import NDArray

from frdiff_tune.measure.interval import LEVEL, Interval, checked

SHORTEST = 8  # a series from which a correlation is estimated
STRONGEST = 0.9  # tau is 19 there: an interval over most of the values


def median_interval(series: Sequence[float]) -> Interval:
    """Returns the median with its 95 % interval.

    Arguments:
        series: Values in the order in which they were taken, at least one.

    Raises:
        MeasureError: If there is no value or one is not finite.
    """
    values = checked(series)
    n, ordered = len(values), np.sort(values)
    from_middle = ((n + 1) / 2 - covering_rank(n)) * sqrt(correlation_time(values))
    k = max(floor((n + 1) / 2 - from_middle), 1)
    return Interval(float(np.median(ordered)), float(ordered[k - 1]), float(ordered[n - k]))


@cache
def covering_rank(n: int) -> int:
    """Returns the largest k for which the k-th smallest and k-th largest of n values cover the median; 1 if none does."""
    k, below = 0, 1.0  # below: 2^n * P(B < k + 1)
    while 2 * below / 2**n <= 1 - LEVEL:
        k += 1
        below += comb(n, k)
    return max(k, 1)


def correlation_time(values: NDArray[np.float64]) -> float:
    """Returns tau: how many values of a series tell as much as one independent value would; at least 1.

    Arguments:
        values: The series, with shape (n,).
    """
    n = len(values)
    if n < SHORTEST:
        return 1.0
    ranks = np.argsort(np.argsort(values, kind="stable")) - (n - 1) / 2
    first = float((ranks[1:] * ranks[:-1]).sum() / (ranks * ranks).sum())
    r = min(max((n * first + 1) / (n - 4), 0.0), STRONGEST)
    return (1 + r) / (1 - r)
