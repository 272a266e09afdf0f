"""PSNR, by torchmetrics: the mean squared error of 8-bit pictures, in decibels below the largest value."""

from math import log10
from typing import ClassVar

from torch import Tensor, where

from frdiff_tune.measure.metrics._base import Better, Paired

LEVELS = 255.0


class Psnr(Paired):
    """The peak signal-to-noise ratio.

        PSNR = 10 log10(255^2 / MSE)

    Equal pictures have no error; they count as if a single value of the picture were off by a single level, which is the
    smallest error that 8-bit pictures can have: 94.9 dB at 128x128, 113.0 dB at 1024x1024.
    """

    name = "psnr"
    unit = "dB"
    better: ClassVar[Better] = "higher"
    flip = 28.0
    """Parts best what LPIPS calls a flip from the rest, of 896 pictures of the embedded models: ``benchmarks/flips.py``."""

    def compare(self, x: Tensor, y: Tensor) -> Tensor:
        """Returns one value per pair in dB, with shape (B,)."""
        from torchmetrics.functional.image import peak_signal_noise_ratio

        found = peak_signal_noise_ratio(x, y, data_range=LEVELS, dim=(1, 2, 3), reduction="none")
        best = 10 * log10(LEVELS**2 * x[0].numel())
        return where((x == y).flatten(1).all(1), best, found)
