"""LPIPS, AlexNet version 0.1, by the ``lpips`` package with weights that need no download.

References:
    | The Unreasonable Effectiveness of Deep Features as a Perceptual Metric (Zhang et al., 2018)
    | https://arxiv.org/abs/1801.03924
"""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from frdiff_tune.demo import alexnet_weights
from frdiff_tune.errors import MeasureError
from frdiff_tune.measure.metrics._base import Better, Paired

SMALLEST_SIDE = 128  # px; AlexNet's strides leave LPIPS almost blind below about 64
HUB_FILE = "alexnet-owt-7be5be79.pth"  # torchvision's name for its AlexNet


class Lpips(Paired):
    """The distance of two pictures: 0 for equal ones, about 0.05 where the composition has changed.

    Pictures whose shorter side is under 128 px are brought to 128 px, bilinear. The backbone is the embedded copy of
    AlexNet's features. Where the torch hub cache holds torchvision's own file, that one is used; if the two are not
    bit-equal, a warning says so.

    Raises:
        MeasureError: If the backbone's weights cannot be read.
    """

    name = "lpips"
    unit = "1"
    better: ClassVar[Better] = "lower"
    flip = 0.05

    def __init__(self, device: torch.device | str = "cpu", weights: Path | None = None) -> None:
        super().__init__(device, weights)
        self._network = network("alex", backbone()).to(self.device)

    def compare(self, x: Tensor, y: Tensor) -> Tensor:
        """Returns one value per pair, with shape (B,)."""
        return self.distances(enlarged(x / 127.5 - 1), enlarged(y / 127.5 - 1))

    def distances(self, x: Tensor, y: Tensor) -> Tensor:
        """Returns LPIPS of pictures as they are, with shape (B,).

        Arguments:
            x: Pictures in [-1, 1], with shape (B, 3, H, W).
            y: What they are compared with, with the same shape.
        """
        with torch.inference_mode():
            distances: Tensor = self._network(x.to(self.device), y.to(self.device)).flatten()
        return distances


def backbone() -> dict[str, Tensor]:
    """Returns AlexNet's convolutions under torchvision's names: torchvision's own file if it is at hand, else ours."""
    from safetensors.torch import load_file

    path = alexnet_weights()
    try:
        embedded = load_file(path)
    except (OSError, ValueError) as error:
        raise MeasureError(
            f"`metric` lpips must find its backbone but got no readable {path} ({error}). Install frdiff-tune again."
        ) from error
    return _published(embedded) or embedded


def _published(embedded: dict[str, Tensor]) -> dict[str, Tensor] | None:
    """Returns torchvision's weights from the torch hub cache, or None if they are not there."""
    path = Path(torch.hub.get_dir()) / "checkpoints" / HUB_FILE
    if not path.is_file():
        return None
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True)
        published = {name: stored[name].float() for name in embedded}
    except Exception as error:  # a broken file fails in many ways, and the embedded copy is at hand
        warnings.warn(f"{path} cannot be used for LPIPS ({error}); the embedded copy is.", stacklevel=2)
        return None
    if not all(torch.equal(published[name], embedded[name]) for name in embedded):
        warnings.warn(f"{path} differs from the embedded AlexNet; LPIPS uses the file.", stacklevel=2)
    return published


def network(net: str, features: Mapping[str, Tensor]) -> Any:  # noqa: ANN401 (lpips has no types)
    """Returns the ``lpips`` package's network on a backbone.

    Arguments:
        net: ``alex``, ``vgg`` or ``squeeze``.
        features: The backbone's weights under torchvision's names.
    """
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # lpips calls torchvision by a name that torchvision deprecates
        from lpips import LPIPS

        made = LPIPS(net=net, pnet_rand=True, verbose=False)
    state = {name: features["features." + name.split(".", 1)[1]] for name in made.net.state_dict()}
    made.net.load_state_dict(state)
    return made.eval().requires_grad_(False)


def enlarged(x: Tensor) -> Tensor:
    """Returns pictures whose shorter side is under 128 px at 128 px, bilinear; others as they are."""
    side = min(x.shape[-2:])
    if side >= SMALLEST_SIDE:
        return x
    size = [round(length * SMALLEST_SIDE / side) for length in x.shape[-2:]]
    return torch.nn.functional.interpolate(x, size=size, mode="bilinear", align_corners=False)
