"""What every keyframe encoding does: numbers in, a keyframe set out, and back."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

Parameters = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Bounds:
    """How far keyframe sets of a space may go.

    Arguments:
        interval: Least and greatest interval of uniform sets, in steps.
        count: Least and greatest number of keyframes of free sets and power laws.
        longest: The longest run of the space, in steps.
        count_grid: Distance of neighbouring numbers of keyframes of power laws.
        exponent: Least and greatest exponent of power laws.
        exponent_grid: Distance of neighbouring exponents.
        last: Fewest and most short gaps at the end of power laws.
        last_grid: Distance of neighbouring numbers of them.
    """

    interval: tuple[int, int]
    count: tuple[int, int]
    longest: int
    count_grid: int = 1
    exponent: tuple[float, float] = (0.5, 3.0)
    exponent_grid: float = 0.1
    last: tuple[int, int] = (0, 3)
    last_grid: int = 1


@dataclass(frozen=True, slots=True)
class Numbers:
    """The values that one parameter takes.

    Arguments:
        low: The least.
        high: The greatest.
        log: Whether draws are even on the log scale.
        step: Distance of neighbouring values; a whole number: they are whole numbers.
    """

    low: float
    high: float
    log: bool = False
    step: float = 1

    def nearest(self, value: float) -> float:
        """Returns the value of the parameter that is nearest to a number."""
        steps = round((self.high - self.low) / self.step)
        found = self.low + min(max(round((value - self.low) / self.step), 0), steps) * self.step
        return found if isinstance(self.step, int) else round(found, 6)


class Encoding(ABC):
    """A way to write a keyframe set as numbers.

    Arguments:
        bounds: How far its sets may go.
    """

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds

    @cached_property
    @abstractmethod
    def parameters(self) -> dict[str, Numbers]:
        """The parameters and their values; names are short, as ``interval``."""

    @abstractmethod
    def decode(self, params: Parameters, T: int) -> tuple[int, ...]:
        """Returns the keyframes, in order and with step 0, of any numbers within bounds."""

    @abstractmethod
    def encode(self, keyframes: Sequence[int], T: int) -> dict[str, float]:
        """Returns the numbers that decode to this set, or to one near it where the encoding cannot write it."""
