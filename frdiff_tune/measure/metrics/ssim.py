"""SSIM, by torchmetrics: a Gaussian window of deviation 1.5, as published.

References:
    | Image Quality Assessment: From Error Visibility to Structural Similarity (Wang et al., 2004)
"""

from typing import ClassVar

from torch import Tensor

from frdiff_tune.measure.metrics._base import Better, Paired
from frdiff_tune.measure.metrics.psnr import LEVELS


class Ssim(Paired):
    """Structural similarity, 1 for equal pictures."""

    name = "ssim"
    unit = "1"
    better: ClassVar[Better] = "higher"
    flip = 0.94
    """Parts best what LPIPS calls a flip from the rest, of 896 pictures of the embedded models: ``benchmarks/flips.py``."""
    smallest_side = 11  # px, the window

    def compare(self, x: Tensor, y: Tensor) -> Tensor:
        """Returns one value per pair, with shape (B,)."""
        from torchmetrics.functional.image import structural_similarity_index_measure

        found = structural_similarity_index_measure(x, y, data_range=LEVELS, reduction="none")
        assert isinstance(found, Tensor)
        return found.reshape(-1)
