"""What every keyframe encoding does: numbers in, a keyframe set out, and back."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Parameters = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Bounds:
    """How far keyframe sets of a space may go.

    Arguments:
        interval: Least and greatest interval of uniform sets, in steps.
        count: Least and greatest number of keyframes of free sets.
        longest: The longest run of the space, in steps.
    """

    interval: tuple[int, int]
    count: tuple[int, int]
    longest: int


@dataclass(frozen=True, slots=True)
class Numbers:
    """The values that one parameter takes: whole numbers from ``low`` to ``high``, even on the log scale if ``log``."""

    low: int
    high: int
    log: bool = False


class Encoding(ABC):
    """A way to write a keyframe set as numbers.

    Arguments:
        bounds: How far its sets may go.
    """

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds

    @property
    @abstractmethod
    def parameters(self) -> dict[str, Numbers]:
        """The parameters and their values; names are short, as ``interval``."""

    @abstractmethod
    def decode(self, params: Parameters, T: int) -> tuple[int, ...]:
        """Returns the keyframes, in order and with step 0, of any numbers within bounds."""

    @abstractmethod
    def encode(self, keyframes: Sequence[int], T: int) -> dict[str, int]:
        """Returns the numbers that decode to this set, or to one near it where the encoding cannot write it."""
