"""What every lam family does: give lam for a run, and be found again from some of its values."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Self

from frdiff_tune.errors import SpaceError
from frdiff_tune.policy.canonical import JUMP_BELOW

Range = tuple[float, float]
SLOPE: Range = (1.0, 1000.0)
"""Slopes that ``fit`` looks for where the caller names none."""
BIAS: Range = (0.0, 1.0)
"""Biases that ``fit`` looks for where the caller names none."""
BIAS_STEP = 0.01
"""Grid of the biases that a search proposes; half of one step of a 50-step run, so finer changes next to nothing."""
SLOPE_DIGITS = 2
"""Significant digits of the slopes that a search proposes."""


class Mixing(ABC):
    """A family of score-mixing weights, with its parameters.

    A search proposes biases in steps of ``BIAS_STEP``, slopes of ``SLOPE_DIGITS`` significant digits and knots in steps
    of 0.05. On that grid ``fit`` is exact: what it returns gives the same floats again.
    """

    @abstractmethod
    def __call__(self, T: int) -> tuple[float, ...]:
        """Returns lam, one weight in [0, 1] per step, with length T; it counts at steps that are no keyframes."""

    @classmethod
    @abstractmethod
    def candidates(cls, lam: Mapping[int, float], T: int, slope: Range, bias: Range) -> Iterator[Self]:
        """Yields members on the grid that may give these values, the likeliest first."""

    @classmethod
    def fit(cls, lam: Mapping[int, float], T: int, *, slope: Range = SLOPE, bias: Range = BIAS) -> Self | None:
        """Returns the member on the grid that gives exactly these weights, or None.

        Arguments:
            lam: Weight per step index; steps that are not named are free. A weight of 0 stands for all below 1e-10.
            T: Denoiser steps of the run.
            slope: Bounds of the slope, where the family has one.
            bias: Bounds of the bias, where the family has one.
        """
        for member in cls.candidates(lam, T, slope, bias):
            table = member(T)
            if all(_settled(table[t]) == value for t, value in lam.items()):
                return member
        return None


def _settled(value: float) -> float:
    """Returns the weight as a policy keeps it."""
    return 0.0 if value < JUMP_BELOW else value


def clip(value: float, low: float = 0.0, high: float = 1.0) -> float:
    """Returns the nearest number within bounds."""
    return min(max(value, low), high)


def check_slope(slope: float) -> None:
    """Checks a steepness, per unit of t / T."""
    if not slope > 0 or not math.isfinite(slope):
        raise SpaceError(f"`slope` must be positive but got {slope}. The released FRDiff code uses 30.")


def check_bias(bias: float) -> None:
    """Checks a place in the run, as a fraction of it."""
    if not 0.0 <= bias <= 1.0:
        raise SpaceError(f"`bias` must lie in [0, 1] but got {bias}. It is a fraction of the run: 0.5 is its middle.")


def round_slope(slope: float) -> float:
    """Returns the nearest slope that a search proposes."""
    return float(f"{slope:.{SLOPE_DIGITS}g}")


def round_bias(bias: float) -> float:
    """Returns the nearest bias that a search proposes."""
    return round(round(bias / BIAS_STEP) * BIAS_STEP, 2)


def biases(bounds: Range) -> Iterator[float]:
    """Yields the grid of biases within bounds, the middle first."""
    low, high = (round(bound / BIAS_STEP) for bound in bounds)
    grid = sorted(range(low, high + 1), key=lambda i: abs(i * BIAS_STEP - 0.5))
    yield from (round(i * BIAS_STEP, 2) for i in grid)


def slopes(height: float, x: float, bias: float, bounds: Range) -> Iterator[float]:
    """Yields the slopes on the grid for which ``slope * (x - bias)`` is about ``height``, the nearest first.

    A height that was read off a weight within 1e-15 of 1 is off by a per cent or two: the neighbours are tried as well.

    Arguments:
        height: What the line has to reach.
        x: Where, as a fraction of the run.
        bias: Where the line is 0.
        bounds: Least and greatest slope.
    """
    if x == bias:
        return
    exact = height / (x - bias)
    if bounds[0] * 0.9 < exact < bounds[1] * 1.1:
        near = dict.fromkeys(round_slope(exact * factor) for factor in (1.0, 0.99, 1.01, 0.98, 1.02))
        yield from (clip(slope, *bounds) for slope in near)


def inside(lam: Mapping[int, float]) -> tuple[int, float] | None:
    """Returns a step whose weight is nearest to 1/2, with it; None if all are 0 or 1."""
    return min(((t, v) for t, v in lam.items() if 0.0 < v < 1.0), key=lambda item: abs(item[1] - 0.5), default=None)
