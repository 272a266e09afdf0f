"""Multi-scale SSIM, by torchmetrics, on the five published scales.

References:
    | Multiscale Structural Similarity for Image Quality Assessment (Wang, Simoncelli, Bovik, 2003)
"""

from typing import ClassVar

from torch import Tensor

from frdiff_tune.measure.metrics._base import Better, Paired
from frdiff_tune.measure.metrics.psnr import LEVELS


class MsSsim(Paired):
    """Structural similarity over five scales, 1 for equal pictures; for pictures from 176 px on."""

    name = "ms_ssim"
    unit = "1"
    better: ClassVar[Better] = "higher"
    flip = 0.94  # not measured, as the embedded models draw 128 px: that of ssim
    smallest_side = 176  # px: the coarsest of five scales must hold the window of 11

    def compare(self, x: Tensor, y: Tensor) -> Tensor:
        """Returns one value per pair, with shape (B,)."""
        from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

        found: Tensor = multiscale_structural_similarity_index_measure(x, y, data_range=LEVELS, reduction="none")
        return found.reshape(-1)
