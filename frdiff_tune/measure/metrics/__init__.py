"""Metrics of pictures against their references: name -> class."""

from frdiff_tune.measure.metrics._base import Paired
from frdiff_tune.measure.metrics.lpips import Lpips

PAIRED: dict[str, type[Paired]] = {"lpips": Lpips}

__all__ = ["PAIRED", "Lpips", "Paired"]
