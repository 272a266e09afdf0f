"""What every metric of a picture and its reference tells of itself: how it is called, its unit, and which way is better."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar, Literal

import torch
from torch import Tensor

from frdiff_tune.errors import MeasureError
from frdiff_tune.measure.drawn import Drawn
from frdiff_tune.measure.picture import Pictures

Better = Literal["lower", "higher"]
CHUNK = 16  # pictures per network call
FLIP_DISTANCE = 0.05
"""Distance at which every metric's pictures count as another composition: LPIPS's own."""


class Paired(ABC):
    """A metric of a picture and its reference, which has the same prompt and the same seed: one number per pair.

    A video's number is the mean over its frames.

    Arguments:
        device: Where it is computed.
        weights: Folder in which weights are looked for, before the torch hub cache; None: only there.

    Raises:
        MeasureError: If weights are not to be had.
    """

    name: ClassVar[str]
    """As studies and policy files write it."""
    unit: ClassVar[str]
    """Of its values; ``1`` for a pure number."""
    better: ClassVar[Better]
    """Which values are closer to the reference."""
    flip: ClassVar[float]
    """Beyond this value a picture counts as another composition."""
    equal: ClassVar[float | None] = None
    """Its value for equal pictures; None: 0 where lower values are better, else 1."""
    smallest_side: ClassVar[int] = 1
    """Of the pictures that it can compare, in px."""

    def __init__(self, device: torch.device | str = "cpu", weights: Path | None = None) -> None:
        self.device = torch.device(device)

    def __call__(self, drawn: Drawn, references: Drawn) -> tuple[float, ...]:
        """Returns one value per pair.

        Arguments:
            drawn: What is compared.
            references: What it is compared with, of the same shape.

        Raises:
            MeasureError: If the shapes differ, or the pictures are too small.
        """
        self.check(drawn, references)
        ours, theirs = (each.reshape(-1, *each.shape[-3:]) for each in (drawn.pictures, references.pictures))
        with torch.inference_mode():
            parts = [
                self.compare(self._tensor(ours[first : first + CHUNK]), self._tensor(theirs[first : first + CHUNK]))
                for first in range(0, len(ours), CHUNK)
            ]
            return tuple(torch.cat(parts).double().reshape(len(drawn), -1).mean(1).tolist())

    @classmethod
    def distance(cls, value: float) -> float:
        """Returns how far a value is from equality on LPIPS's scale, whatever the metric's own: 0 is equal, 0.05 a flip.

        Decibels are the logarithm of an error, which is the distance; other values count by their difference.

        Arguments:
            value: Of the metric.

        Raises:
            MeasureError: If the metric's values for equal pictures are no better than those of a flip.
        """
        sign = 1.0 if cls.better == "higher" else -1.0
        if cls.unit == "dB":
            return float(FLIP_DISTANCE * 10 ** (sign * (cls.flip - value) / 10))
        equal = cls.equal if cls.equal is not None else max(sign, 0.0)
        if sign * (equal - cls.flip) <= 0:
            raise MeasureError(
                f"`equal` of the metric {cls.name} must be better than its flip {cls.flip:g} but is {equal:g}. Set it in the "
                f"class to the value of equal pictures, such as `equal = 100.0`."
            )
        return max(FLIP_DISTANCE * (value - equal) / (cls.flip - equal), 0.0)

    def check(self, drawn: Drawn, references: Drawn) -> None:
        """Checks that pictures can be compared.

        Raises:
            MeasureError: If not.
        """
        shape, wanted = drawn.pictures.shape, references.pictures.shape
        if shape != wanted:
            raise MeasureError(
                f"`pictures` must have the references' shape {wanted} but got {shape}. "
                "Render both with the same height, width and batch."
            )
        if min(shape[-3:-1]) < self.smallest_side:
            raise MeasureError(
                f"`metrics` must suit the pictures but {self.name} needs {self.smallest_side} px and got "
                f"{shape[-3]}x{shape[-2]}. Leave it out of [measure] metrics, or compare larger pictures."
            )

    @abstractmethod
    def compare(self, x: Tensor, y: Tensor) -> Tensor:
        """Returns one value per pair, with shape (B,).

        Arguments:
            x: Pictures, float32 with values 0 to 255, with shape (B, 3, H, W).
            y: Their references, with the same shape.
        """

    def _tensor(self, pictures: Pictures) -> Tensor:
        return torch.from_numpy(pictures).to(self.device).permute(0, 3, 1, 2).float()
