"""lam = 0: every step between keyframes is a jump, which calls no network."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Self

from frdiff_tune.policy.mixing._base import Mixing, Range


@dataclass(frozen=True, slots=True)
class Jump(Mixing):
    """Every step between keyframes takes the jump score: lam[t] = 0."""

    def __call__(self, T: int) -> tuple[float, ...]:
        """Returns T zeros."""
        return (0.0,) * T

    @classmethod
    def candidates(cls, lam: Mapping[int, float], T: int, slope: Range, bias: Range) -> Iterator[Self]:
        """Yields the only member."""
        yield cls()
