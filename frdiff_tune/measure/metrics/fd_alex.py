"""A Fréchet distance on the embedded AlexNet's features, for machines without Inception's weights; never called FID."""

from pathlib import Path

import torch
from torch import Tensor, nn

from frdiff_tune.measure.metrics._set import Frechet
from frdiff_tune.measure.metrics.lpips import backbone, enlarged, network


class FdAlex(Frechet):
    """The Fréchet distance between the last layer's 256 channels, each the mean over the picture."""

    name = "fd_alex"

    def __init__(self, device: torch.device | str = "cpu", weights: Path | None = None) -> None:
        super().__init__(device, weights)
        from torchmetrics.image.fid import FrechetInceptionDistance

        self._metric = FrechetInceptionDistance(feature=AlexFeatures()).to(self.device)


class AlexFeatures(nn.Module):
    """AlexNet's fifth convolution after its rectifier, the mean over the picture: (B, 3, H, W) uint8 to (B, 256)."""

    num_features = 256

    def __init__(self) -> None:
        super().__init__()
        lpips = network("alex", backbone())
        self.net, self.scaling = lpips.net, lpips.scaling_layer  # ImageNet's mean and deviation, for values in [-1, 1]

    def forward(self, pictures: Tensor) -> Tensor:
        """Returns the features.

        Arguments:
            pictures: Values 0 to 255, with shape (B, 3, H, W).
        """
        last: Tensor = self.net(self.scaling(enlarged(pictures.float() / 127.5 - 1)))[-1]
        return last.mean((2, 3))
