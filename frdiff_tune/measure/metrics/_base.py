"""What every metric tells of itself: how it is called, in which unit it counts, and which way is better."""

from abc import ABC, abstractmethod
from typing import ClassVar, Literal

from frdiff_tune.measure.drawn import Drawn

Better = Literal["lower", "higher"]


class Paired(ABC):
    """A metric of a picture and its reference, which has the same prompt and the same seed: one number per pair."""

    name: ClassVar[str]
    """As studies and policy files write it."""
    unit: ClassVar[str]
    """Of its values; ``1`` for a pure number."""
    better: ClassVar[Better]
    """Which values are closer to the reference."""
    flip: ClassVar[float]
    """Beyond this value a picture counts as another composition."""

    @abstractmethod
    def __call__(self, drawn: Drawn, references: Drawn) -> tuple[float, ...]:
        """Returns one value per pair.

        Arguments:
            drawn: What is compared.
            references: What it is compared with, of the same shape.

        Raises:
            MeasureError: If the shapes differ.
        """
