"""What every lam family does: give lam for a run, and be found again from some of its values."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from math import floor, isfinite, log10
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
CENTRE = 1e-6
"""How near to 1/2, or to the bias, is its very place: there the slope cannot be read off."""
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
    if not slope > 0 or not isfinite(slope):
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


def members(lam: Mapping[int, float], T: int, height: Callable[[float], float], slope: Range, bias: Range) -> Iterator[Range]:
    """Yields (slope, bias) on the grid for curves ``F(slope * (t / T - bias))`` that may give these weights.

    One step on the ramp fixes the slope that goes with each bias. Without one only where the ramp lies is known: then the
    steepest member gives the same as any other.

    Arguments:
        lam: Weight per step index.
        T: Denoiser steps of the run.
        height: The inverse of F on (0, 1).
        slope: Least and greatest slope.
        bias: Least and greatest bias.
    """
    ramp = [(t, value) for t, value in lam.items() if 0.0 < value < 1.0]
    sloping = [(t, value) for t, value in ramp if abs(value - 0.5) > CENTRE]
    if sloping:
        t, value = min(sloping, key=lambda item: abs(item[1] - 0.5))
        yield from ((s, b) for b in biases(bias) for s in _slopes(height(value), t / T - b, slope))
    elif ramp:  # the only step on the ramp is its centre, which any slope passes through
        centre = ramp[0][0] / T
        yield from ((s, b) for b in biases(bias) if abs(centre - b) < CENTRE for s in _grid(slope))
    else:
        yield from ((slope[1], b) for b in biases(bias))


def _slopes(height: float, run: float, bounds: Range) -> Iterator[float]:
    """Yields slopes within bounds for which ``slope * run`` is about ``height``, the nearest first.

    A height that was read off a weight within 1e-15 of 1 is off by a per cent or two: the neighbours are tried as well.
    """
    if run == 0.0 or not bounds[0] * 0.9 < height / run < bounds[1] * 1.1:
        return
    near = dict.fromkeys(round_slope(height / run * factor) for factor in (1.0, 0.99, 1.01, 0.98, 1.02))
    yield from (clip(slope, *bounds) for slope in near)


def _grid(bounds: Range) -> Iterator[float]:
    """Yields all slopes of two digits within bounds, the steepest first."""
    slope = bounds[1]
    while slope >= bounds[0]:
        yield slope
        slope = round_slope(slope - 10.0 ** (floor(log10(slope * 0.999)) - 1))
