"""KID, by torchmetrics on the same Inception as FID.

References:
    | Demystifying MMD GANs (Binkowski et al., 2018), https://arxiv.org/abs/1801.01401
"""

from pathlib import Path

import torch
from torch import Tensor

from frdiff_tune.measure.metrics._set import SetMetric
from frdiff_tune.measure.metrics.fid import INCEPTION
from frdiff_tune.measure.weights import find_weights

SUBSET = 1000  # pictures, as published; fewer where there are fewer
SUBSETS = 100


class Kid(SetMetric):
    """The kernel Inception distance: unbiased, so small sets are closer to large ones than with FID.

    Raises:
        MeasureError: If Inception's weights are not to be had.
    """

    name = "kid"

    def __init__(self, device: torch.device | str = "cpu", weights: Path | None = None) -> None:
        super().__init__(device, weights)
        from torchmetrics.image.kid import KernelInceptionDistance, NoTrainInceptionV3

        path = find_weights(self.name, INCEPTION, weights)
        inception = NoTrainInceptionV3("inception-v3-compat", ["2048"], feature_extractor_weights_path=str(path))
        self._metric = KernelInceptionDistance(feature=inception, subsets=SUBSETS, subset_size=SUBSET).to(self.device)

    def _take(self, pictures: Tensor, real: bool) -> None:
        with torch.inference_mode():
            self._metric.update(pictures, real=real)

    def _value(self) -> tuple[float, float | None]:
        self._metric.subset_size = min(SUBSET, self.count, self.others)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)  # of the subsets
            mean, deviation = self._metric.compute()
        return float(mean), float(deviation)
