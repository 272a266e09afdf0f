"""LPIPS on the backbones whose weights are not embedded: VGG16 and SqueezeNet 1.1, version 0.1."""

from pathlib import Path
from typing import ClassVar

import torch

from frdiff_tune.measure.metrics._base import Better
from frdiff_tune.measure.metrics.lpips import Lpips, network
from frdiff_tune.measure.weights import WeightsFile, load_weights


class _Downloaded(Lpips):
    """LPIPS on a backbone of torchvision's."""

    net: ClassVar[str]
    file: ClassVar[WeightsFile]

    def __init__(self, device: torch.device | str = "cpu", weights: Path | None = None) -> None:
        super(Lpips, self).__init__(device, weights)
        self._network = network(self.net, load_weights(self.name, self.file, weights)).to(self.device)


class LpipsVgg(_Downloaded):
    """LPIPS on VGG16, which papers report beside AlexNet's; its values are larger.

    Raises:
        MeasureError: If the weights are not to be had.
    """

    name = "lpips_vgg"
    better: ClassVar[Better] = "lower"
    flip = 0.2  # not measured on this backbone, whose weights are not at hand here: a guess from its wider range
    net = "vgg"
    file = WeightsFile("vgg16-397923af.pth", "https://download.pytorch.org/models/vgg16-397923af.pth")


class LpipsSqueeze(_Downloaded):
    """LPIPS on SqueezeNet 1.1.

    Raises:
        MeasureError: If the weights are not to be had.
    """

    name = "lpips_squeeze"
    better: ClassVar[Better] = "lower"
    flip = 0.05  # not measured on this backbone, whose weights are not at hand here: AlexNet's
    net = "squeeze"
    file = WeightsFile("squeezenet1_1-b8a52dc0.pth", "https://download.pytorch.org/models/squeezenet1_1-b8a52dc0.pth")
