"""A smooth ramp from jumps to the step's own score."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Self

from frdiff_tune.policy.mixing._base import Mixing, Range, check_bias, check_slope, members


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
        """Yields the members whose ramp passes through one of the steps."""
        yield from (cls(s, b) for s, b in members(lam, T, lambda value: math.log(value / (1 - value)), slope, bias))


def _logistic(z: float) -> float:
    """Returns 1 / (1 + exp(-z)) without overflow."""
    return 1 / (1 + math.exp(-z)) if z >= 0 else math.exp(z) / (1 + math.exp(z))
