"""UNets with cross-attention: Stable Diffusion 1.x and 2.x, SDXL."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from frdiff_tune.runtime.families._base import Family, Kind

if TYPE_CHECKING:
    from torch import nn


class UNet(Family):
    """``UNet2DConditionModel``: first convolutions, spatial transformers, and whole blocks by depth.

    Blocks change shape inside, so their outputs are stored, skip tuples included; the deep half reused as one group is
    what DeepCache does.

    References:
        | FRDiff: Feature Reuse for Universal Training-free Acceleration of Diffusion Models (So et al., 2024)
        | https://arxiv.org/abs/2312.03517
        | DeepCache: Accelerating Diffusion Models for Free (Ma et al., 2023)
        | https://arxiv.org/abs/2312.00858
    """

    component = "unet"
    sample_argument = "sample"
    paper_groups = ("conv", "attention")

    def places(self, denoiser: "nn.Module") -> Iterator[tuple[str, str, Kind]]:
        """Yields residual blocks, spatial transformers and whole blocks."""
        for path, module in denoiser.named_modules():
            match type(module).__name__:
                case "ResnetBlock2D":
                    yield path, "conv", "convolution"
                case "Transformer2DModel":
                    yield path, "attention", "residual"
        depth = len(list(denoiser.get_submodule("down_blocks").children()))
        half = depth // 2
        for i in range(depth):
            yield f"down_blocks.{i}", "deep" if i >= half else "shallow", "output"
        if getattr(denoiser, "mid_block", None) is not None:
            yield "mid_block", "deep", "output"
        for i in range(depth):
            yield f"up_blocks.{i}", "deep" if i < depth - half else "shallow", "output"
