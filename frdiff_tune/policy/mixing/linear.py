"""A line over the run."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Self

from frdiff_tune.policy.mixing._base import Mixing, Range, biases, check_bias, clip


@dataclass(frozen=True, slots=True)
class Linear(Mixing):
    """A line of slope 1 through 1/2 at ``bias``: at 0.5 lam is the fraction of the run that is done.

    lam[t] = clip(t / T - bias + 1/2, 0, 1)

    Arguments:
        bias: Where lam is 1/2, as a fraction of the run, in [0, 1].
    """

    bias: float = 0.5

    def __post_init__(self) -> None:
        check_bias(self.bias)

    def __call__(self, T: int) -> tuple[float, ...]:
        """Returns lam, one weight per step, with length T."""
        return tuple(clip(t / T - self.bias + 0.5) for t in range(T))

    @classmethod
    def candidates(cls, lam: Mapping[int, float], T: int, slope: Range, bias: Range) -> Iterator[Self]:
        """Yields one member per bias."""
        yield from (cls(b) for b in biases(bias))
