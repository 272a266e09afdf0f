"""What every counter of a call does: it is read before and after the call, never within it."""

from abc import ABC, abstractmethod
from typing import ClassVar, Self

import torch


class Counter(ABC):
    """Counts something of one call."""

    name: ClassVar[str]
    """Of the figure, with its unit."""
    cure: ClassVar[str]
    """What to do where a device does not count it."""

    @classmethod
    @abstractmethod
    def of(cls, device: torch.device, batch: int) -> Self | None:
        """Returns the device's counter, or None where it has none.

        Arguments:
            device: Where the networks run.
            batch: Pictures per call.
        """

    @abstractmethod
    def start(self) -> None:
        """Begins, when the device has nothing left to do."""

    @abstractmethod
    def stop(self) -> float:
        """Returns what was counted since, in the figure's unit, when the device has done all its work."""
