"""FID, by torchmetrics on torch-fidelity's port of TensorFlow's Inception: uint8, 299 px, 2,048 features."""

from pathlib import Path

import torch

from frdiff_tune.measure.metrics._set import Frechet
from frdiff_tune.measure.weights import WeightsFile, find_weights

INCEPTION = WeightsFile(
    "weights-inception-2015-12-05-6726825d.pth",
    "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth",
)


class Fid(Frechet):
    """The Fréchet Inception distance.

    Raises:
        MeasureError: If Inception's weights are not to be had.
    """

    name = "fid"

    def __init__(self, device: torch.device | str = "cpu", weights: Path | None = None) -> None:
        super().__init__(device, weights)
        from torchmetrics.image.fid import FrechetInceptionDistance

        path = find_weights(self.name, INCEPTION, weights)
        made = FrechetInceptionDistance(feature=2048, normalize=False, feature_extractor_weights_path=str(path))
        self._metric = made.to(self.device)
