"""What every metric between two sets of pictures tells of itself."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from frdiff_tune.errors import MeasureError
from frdiff_tune.measure.drawn import Drawn
from frdiff_tune.measure.metrics._base import CHUNK, Better
from frdiff_tune.measure.picture import Pictures
from frdiff_tune.policy import SetKind, SetQuality

COMPARABLE = 10_000
"""Pictures that papers use at least; with fewer the figure has a bias of its own and compares only with itself."""


class SetMetric(ABC):
    """A metric between the candidate's pictures and others: one number for all of them.

    Features of pictures are added as they are drawn; pictures are not held.

    Arguments:
        device: Where the features are computed.
        weights: Folder in which weights are looked for, before the torch hub cache; None: only there.

    Raises:
        MeasureError: If weights are not to be had.
    """

    name: ClassVar[str]
    """As studies write it; policy files add the sample size, as ``fid_1k``."""
    unit: ClassVar[str] = "1"
    better: ClassVar[Better] = "lower"
    _metric: Any
    """Torchmetrics' own."""

    def __init__(self, device: torch.device | str = "cpu", weights: Path | None = None) -> None:
        self.device = torch.device(device)
        self.count = self.others = 0

    def reset(self) -> None:
        """Forgets all pictures."""
        self._metric.reset()
        self.count = self.others = 0

    def add(self, drawn: Drawn, references: Drawn) -> None:
        """Takes pictures of both sets, as many of each.

        Arguments:
            drawn: The candidate's.
            references: Those that they are compared with.
        """
        self.take_real(references.pictures)
        self.take(drawn.pictures)

    def take(self, pictures: Pictures) -> None:
        """Takes pictures of the candidate, with shape (B, H, W, 3); frames of videos, (B, F, H, W, 3), count as pictures."""
        self.count += self._chunks(pictures, real=False)

    def take_real(self, pictures: Pictures) -> None:
        """Takes pictures that the candidate's are compared with, with the same shapes."""
        self.others += self._chunks(pictures, real=True)

    def _chunks(self, pictures: Pictures, real: bool) -> int:
        flat = pictures.reshape(-1, *pictures.shape[-3:])
        for first in range(0, len(flat), CHUNK):
            chunk = torch.from_numpy(np.ascontiguousarray(flat[first : first + CHUNK]))
            self._take(chunk.to(self.device).permute(0, 3, 1, 2), real)
        return len(flat)

    def value(self) -> tuple[float, float | None]:
        """Returns the figure, and its standard deviation over subsets where the metric has one.

        Raises:
            MeasureError: If there are under two pictures.
        """
        if min(self.count, self.others) < 2:
            raise MeasureError(
                f"`{self.name}` must compare at least 2 pictures but got {min(self.count, self.others)}. Add cases."
            )
        return self._value()

    def row(self, kind: SetKind, reference: float | None = None) -> SetQuality:
        """Returns the figure as a policy file states it.

        Arguments:
            kind: What the pictures are compared with.
            reference: The reference's own figure against the same pictures; None where these are the reference's.

        Raises:
            MeasureError: As ``value``.
        """
        value, deviation = self.value()
        return SetQuality(
            metric=self.title,
            unit=self.unit,
            kind=kind,
            value=value,
            deviation=deviation,
            reference=reference,
            count=self.count,
            other_count=self.others,
            comparable=self.comparable,
        )

    @property
    def title(self) -> str:
        """Name with the sample size: ``fid_1k``, ``fd_alex_256``."""
        thousands = self.count % 1000 == 0 and self.count > 0
        return f"{self.name}_{f'{self.count // 1000}k' if thousands else self.count}"

    @property
    def comparable(self) -> bool:
        """Whether there are enough pictures to compare the figure with those of papers."""
        return self.count >= COMPARABLE

    @abstractmethod
    def _take(self, pictures: Tensor, real: bool) -> None:
        """Takes pictures of one set, uint8 with values 0 to 255, with shape (B, 3, H, W)."""

    @abstractmethod
    def _value(self) -> tuple[float, float | None]:
        """Returns the figure and its standard deviation over subsets."""


class Frechet(SetMetric):
    """A Fréchet distance between Gaussians laid through features, by torchmetrics.

        |mu_1 - mu_2|^2 + tr(S_1 + S_2 - 2 (S_1 S_2)^(1/2))

    References:
        | GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium (Heusel et al., 2017)
    """

    def _take(self, pictures: Tensor, real: bool) -> None:
        with torch.inference_mode():
            self._metric.update(pictures, real=real)

    def _value(self) -> tuple[float, float | None]:
        return max(float(self._metric.compute()), 0.0), None
