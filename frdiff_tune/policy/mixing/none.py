"""lam = 1: no mixing, pure feature reuse."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Self

from frdiff_tune.policy.mixing._base import Mixing, Range


@dataclass(frozen=True, slots=True)
class NoMixing(Mixing):
    """Every step keeps its own score: lam[t] = 1."""

    def __call__(self, T: int) -> tuple[float, ...]:
        """Returns T ones."""
        return (1.0,) * T

    @classmethod
    def candidates(cls, lam: Mapping[int, float], T: int, slope: Range, bias: Range) -> Iterator[Self]:
        """Yields the only member."""
        yield cls()
