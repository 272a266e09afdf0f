"""Jumps first, the step's own score from one place on."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Self

from frdiff_tune.policy.mixing._base import Mixing, Range, biases, check_bias


@dataclass(frozen=True, slots=True)
class Step(Mixing):
    """A switch at ``bias``: lam[t] = 1 where t / T >= bias, else 0.

    Arguments:
        bias: Where the jumps end, as a fraction of the run, in [0, 1].
    """

    bias: float = 0.5

    def __post_init__(self) -> None:
        check_bias(self.bias)

    def __call__(self, T: int) -> tuple[float, ...]:
        """Returns lam, one weight per step, with length T."""
        return tuple(1.0 if t / T >= self.bias else 0.0 for t in range(T))

    @classmethod
    def candidates(cls, lam: Mapping[int, float], T: int, slope: Range, bias: Range) -> Iterator[Self]:
        """Yields one member per bias."""
        yield from (cls(b) for b in biases(bias))
