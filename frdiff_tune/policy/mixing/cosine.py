"""Half a cosine over the run: flat at both ends."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Self

from frdiff_tune.policy.mixing._base import Mixing, Range, biases, check_bias, clip


@dataclass(frozen=True, slots=True)
class Cosine(Mixing):
    """Half a period of a raised cosine, as long as the run and centred at ``bias``.

    lam[t] = (1 - cos(pi * clip(t / T - bias + 1/2, 0, 1))) / 2

    Arguments:
        bias: Where lam is 1/2, as a fraction of the run, in [0, 1].
    """

    bias: float = 0.5

    def __post_init__(self) -> None:
        check_bias(self.bias)

    def __call__(self, T: int) -> tuple[float, ...]:
        """Returns lam, one weight per step, with length T."""
        return tuple((1 - math.cos(math.pi * clip(t / T - self.bias + 0.5))) / 2 for t in range(T))

    @classmethod
    def candidates(cls, lam: Mapping[int, float], T: int, slope: Range, bias: Range) -> Iterator[Self]:
        """Yields one member per bias."""
        yield from (cls(b) for b in biases(bias))
