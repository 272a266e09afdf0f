"""Metrics between sets: the Fréchet distance by hand, its dtype and range, sample sizes in names."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from frdiff_tune.errors import MeasureError
from frdiff_tune.measure import SETS, Drawn, load_sets
from frdiff_tune.measure.metrics._set import Frechet
from frdiff_tune.measure.metrics.fd_alex import AlexFeatures
from frdiff_tune.measure.metrics.fid import INCEPTION, Fid
from frdiff_tune.measure.metrics.kid import Kid


class Corner(nn.Module):
    """The first pixel's red and green, and what it was given."""

    num_features = 2
    seen: tuple[Any, ...] = ()

    def forward(self, pictures: Tensor) -> Tensor:
        type(self).seen = (pictures.dtype, tuple(pictures.shape[1:]), int(pictures.max()))
        return pictures[:, :2, 0, 0].float()


class Toy(Frechet):
    name = "toy"

    def __init__(self) -> None:
        super().__init__()
        from torchmetrics.image.fid import FrechetInceptionDistance

        self._metric = FrechetInceptionDistance(feature=Corner())


def pictures(seed: int, shift: int = 0, count: int = 24) -> Drawn:
    values = np.random.default_rng(seed).integers(0, 200, size=(count, 8, 8, 3)) + shift
    return Drawn(values.astype(np.uint8))


def frechet(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Returns |mu_x - mu_y|^2 + tr(S_x + S_y - 2 (S_x S_y)^(1/2)), the root's trace by eigenvalues."""
    s, t = np.cov(x.T), np.cov(y.T)
    root = np.sqrt(np.linalg.eigvals(s @ t).real.clip(0)).sum()
    return float(((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(s) + np.trace(t) - 2 * root)


def test_equals_the_distance_by_hand_and_is_given_bytes() -> None:
    metric, ours, theirs = Toy(), pictures(0, 40), pictures(1)
    for first in (0, 12):
        metric.add(Drawn(ours.pictures[first : first + 12]), Drawn(theirs.pictures[first : first + 12]))
    a, b = (each.pictures[:, 0, 0, :2].astype(np.float64) for each in (ours, theirs))
    assert metric.value()[0] == pytest.approx(frechet(a, b), rel=1e-4)
    assert Corner.seen[:2] == (torch.uint8, (3, 8, 8)) and Corner.seen[2] > 1, "values 0 to 255, not 0 to 1"


def test_fd_alex_by_hand_zero_for_equal_sets_and_rising() -> None:
    theirs = pictures(1, count=40)
    found = []
    for shift in (0, 10, 50):
        (metric,) = load_sets(["fd_alex"])
        metric.add(pictures(1, shift, count=40), theirs)
        found.append(metric.value()[0])
    assert found[0] == pytest.approx(0.0, abs=1e-4) and found[0] < found[1] < found[2]
    with torch.inference_mode():
        features = [
            AlexFeatures()(torch.from_numpy(each.pictures).permute(0, 3, 1, 2)).double().numpy()
            for each in (pictures(1, 50, count=40), theirs)
        ]
    assert found[2] == pytest.approx(frechet(*features), rel=1e-3)


@pytest.mark.parametrize(("count", "title"), [(24, "toy_24"), (1000, "toy_1k"), (10_000, "toy_10k")])
def test_the_sample_size_is_in_the_name(count: int, title: str) -> None:
    metric = Toy()
    metric.count = count
    assert metric.title == title and metric.comparable == (count >= 10_000)


def test_one_picture_is_too_few() -> None:
    metric = Toy()
    metric.add(pictures(0, count=1), pictures(1, count=1))
    with pytest.raises(MeasureError, match="must compare at least 2 pictures but got 1"):
        metric.value()


def test_inception_from_a_folder_in_fid_and_kid(tmp_path: Path) -> None:
    """Random weights in the published file's form: both metrics run on them, KID with subsets no larger than the set."""
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3  # type: ignore[import-untyped]

    class Untrained(FeatureExtractorInceptionV3):  # type: ignore[misc]
        def load_state_dict(self, state: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
            return None

    torch.manual_seed(0)
    torch.save({}, tmp_path / "none.pth")
    network = Untrained("inception-v3-compat", ["2048"], feature_extractor_weights_path=str(tmp_path / "none.pth"))
    torch.save(network.state_dict(), tmp_path / INCEPTION.name)
    ours, theirs = pictures(0, 40, count=4), pictures(1, count=4)
    for cls in (Fid, Kid):
        metric = cls(weights=tmp_path)
        metric.add(ours, theirs)
        value, deviation = metric.value()
        assert np.isfinite(value) and (deviation is None) == (cls is Fid) and metric.title.endswith("_4")
    assert set(SETS) == {"fid", "kid", "fd_alex"}
