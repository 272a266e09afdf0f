"""UNets with motion modules: AnimateDiff."""

from typing import TYPE_CHECKING

from frdiff_tune.runtime.families.unet import UNet

if TYPE_CHECKING:
    from torch import Tensor


class MotionUNet(UNet):
    """``UNetMotionModel``: as the picture's UNet, with motion modules as a group of their own."""

    parts = {**UNet.parts, "AnimateDiffTransformer3D": ("motion", "residual")}
    paper_groups = ("conv", "attention", "motion")

    def rows(self, x: "Tensor") -> tuple[int, ...]:
        """Returns the number of samples, and that of frames: the text is given once per frame."""
        return x.shape[0], x.shape[0] * x.shape[2]
