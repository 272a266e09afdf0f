"""Figures with their 95 % intervals: bootstrap over samples, Wilson for shares.

References:
    | An Introduction to the Bootstrap (Efron and Tibshirani, 1993), chapter 13: the percentile interval
    | Probable Inference, the Law of Succession, and Statistical Inference (Wilson, 1927)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite, sqrt
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from frdiff_tune.errors import MeasureError

Statistic = Literal["mean", "median", "p90"]

LEVEL = 0.95  # of every interval
NORMAL_QUANTILE = 1.959964  # of LEVEL, two-sided
RESAMPLES = 2000  # the ends then move by under 2 % of the width between seeds

Samples = Sequence[float] | NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure and the ends of its 95 % interval, all in the figure's own unit.

    Arguments:
        value: The figure.
        low: Lower end, at most ``value``.
        high: Upper end, at least ``value``.
    """

    value: float
    low: float
    high: float

    def __post_init__(self) -> None:
        if not self.low <= self.value <= self.high:
            raise MeasureError(
                f"`interval` must have low <= value <= high but got {self.low}, {self.value}, {self.high}. "
                "Give the ends in this order and without NaN."
            )

    def __mul__(self, factor: float) -> "Interval":
        """Returns the interval in a unit that is ``1 / factor`` of the old one; factor >= 0."""
        return Interval(self.value * factor, self.low * factor, self.high * factor)

    def overlaps(self, other: "Interval") -> bool:
        """Returns whether the two have a value in common."""
        return self.low <= other.high and other.low <= self.high


def bootstrap(samples: Samples, statistic: Statistic = "mean", *, seed: int = 0) -> Interval:
    """Returns a statistic with its percentile bootstrap interval; the same samples always give the same ends.

    Arguments:
        samples: Independent values, at least one.
        statistic: ``"mean"``, ``"median"`` or ``"p90"`` (90th percentile, linear between samples).
        seed: Of the resampling.

    Raises:
        MeasureError: If there is no sample or one is not finite.
    """
    values = checked(samples)
    rng = np.random.default_rng(seed)
    resampled = _statistic(values[rng.integers(len(values), size=(RESAMPLES, len(values)))], statistic)
    low, high = np.quantile(resampled, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    value = float(_statistic(values[None], statistic)[0])
    return Interval(value, min(float(low), value), max(float(high), value))


def share(hits: int, count: int) -> Interval:
    """Returns ``hits / count`` with its Wilson interval, which is not empty at 0 and at 1 as a bootstrap would be.

    Arguments:
        hits: How many samples have the property.
        count: How many samples there are, at least one.

    Raises:
        MeasureError: If the counts do not fit.
    """
    if not 0 <= hits <= count or count == 0:
        raise MeasureError(
            f"`hits` must lie in [0, count], count above 0, but got {hits} of {count}. Measure a case first."
        )
    p, z = hits / count, NORMAL_QUANTILE
    centre = (p + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * sqrt(p * (1 - p) / count + z * z / (4 * count * count))
    return Interval(p, min(max(centre - half, 0.0), p), max(min(centre + half, 1.0), p))


def checked(samples: Samples) -> NDArray[np.float64]:
    """Returns samples as an array, with shape (n,).

    Raises:
        MeasureError: If there is no sample or one is not finite.
    """
    values = np.asarray(samples, dtype=np.float64)
    if values.ndim != 1 or len(values) == 0:
        raise MeasureError(f"`samples` must hold at least one value but got {len(values)}. Measure a case first.")
    bad = [value for value in values.tolist() if not isfinite(value)]
    if bad:
        raise MeasureError(f"`samples` must be finite but got {bad[0]}. Leave failed measurements out.")
    return values


def _statistic(rows: NDArray[np.float64], statistic: Statistic) -> NDArray[np.float64]:
    """Returns the statistic of each row, shape (rows,)."""
    if statistic == "mean":
        return np.asarray(rows.mean(axis=1))
    return np.asarray(np.quantile(rows, 0.5 if statistic == "median" else 0.9, axis=1))
