"""A smooth ramp from jumps to the step's own score."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Self

from frdiff_tune.policy.mixing._base import Mixing, Range, biases, check_bias, check_slope, inside, slopes


@dataclass(frozen=True, slots=True)
class Sigmoid(Mixing):
    """The logistic curve; as steep at ``bias`` as the hard sigmoid of the same slope.

    lam[t] = 1 / (1 + exp(-slope * (t / T - bias)))

    Arguments:
        slope: Steepness, per unit of t / T; positive.
        bias: Where lam is 1/2, as a fraction of the run, in [0, 1].
    """

    slope: float = 30.0
    bias: float = 0.5

    def __post_init__(self) -> None:
        check_slope(self.slope)
        check_bias(self.bias)

    def __call__(self, T: int) -> tuple[float, ...]:
        """Returns lam, one weight per step, with length T."""
        return tuple(_logistic(self.slope * (t / T - self.bias)) for t in range(T))

    @classmethod
    def candidates(cls, lam: Mapping[int, float], T: int, slope: Range, bias: Range) -> Iterator[Self]:
        """Yields one member per bias: the slope follows from a step on the curve; without one the steepest do."""
        seen = inside(lam)
        for b in biases(bias):
            steep = (slope[1],) if seen is None else slopes(math.log(seen[1] / (1 - seen[1])), seen[0] / T, b, slope)
            yield from (cls(s, b) for s in steep)
            if seen is not None and seen[1] == 0.5 and seen[0] / T == b:
                yield cls(slope[1], b)


def _logistic(z: float) -> float:
    """Returns 1 / (1 + exp(-z)) without overflow."""
    return 1 / (1 + math.exp(-z)) if z >= 0 else math.exp(z) / (1 + math.exp(z))
