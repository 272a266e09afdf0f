"""Lines between knots that are free: whatever shape pays."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Self

from frdiff_tune.errors import SpaceError
from frdiff_tune.policy.canonical import JUMP_BELOW
from frdiff_tune.policy.mixing._base import Mixing, Range

KNOTS = 5
"""Knots that a search proposes: at the beginning, the quarters and the end of a run."""
KNOT_STEP = 0.05
"""Grid of their heights."""
LEVELS = tuple(round(i * KNOT_STEP, 2) for i in range(round(1 / KNOT_STEP) + 1))


@dataclass(frozen=True, slots=True)
class Piecewise(Mixing):
    """Straight lines between knots that stand evenly over the run.

    lam[t] = (1 - u) * knots[k] + u * knots[k + 1],  k + u = t / T * (len(knots) - 1)

    Arguments:
        knots: Heights in [0, 1], the first at the beginning of the run and the last at its end; at least two.
    """

    knots: tuple[float, ...] = (0.0, 0.0, 0.5, 1.0, 1.0)

    def __post_init__(self) -> None:
        if len(self.knots) < 2:
            raise SpaceError(f"`knots` must hold at least two numbers but got {self.knots}. Add the run's end.")
        for knot in self.knots:
            if not 0.0 <= knot <= 1.0:
                raise SpaceError(f"`knots` must lie in [0, 1] but got {knot}. They are weights of the step's own score.")

    def __call__(self, T: int) -> tuple[float, ...]:
        """Returns lam, one weight per step, with length T."""
        return tuple(self._at(t / T * (len(self.knots) - 1)) for t in range(T))

    def _at(self, place: float) -> float:
        k = int(place)
        return _between(self.knots[k], self.knots[k + 1], place - k)

    @classmethod
    def candidates(cls, lam: Mapping[int, float], T: int, slope: Range, bias: Range) -> Iterator[Self]:
        """Yields the member found by walking from knot to knot over the heights that fit all steps so far."""
        paths: dict[float, tuple[float, ...]] = {level: (level,) for level in LEVELS}
        for k in range(KNOTS - 1):
            steps = {t / T * (KNOTS - 1) - k: v for t, v in lam.items() if int(t / T * (KNOTS - 1)) == k}
            grown: dict[float, tuple[float, ...]] = {}
            for low, high in product(paths, LEVELS):
                if high not in grown and all(_equal(_between(low, high, u), value) for u, value in steps.items()):
                    grown[high] = (*paths[low], high)
            paths = grown
        yield from (cls(path) for path in paths.values())


def _between(low: float, high: float, u: float) -> float:
    return (1 - u) * low + u * high


def _equal(value: float, wanted: float) -> bool:
    return value == wanted or (wanted == 0.0 and value < JUMP_BELOW)
