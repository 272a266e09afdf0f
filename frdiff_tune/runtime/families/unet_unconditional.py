"""UNets without text: DDPM, DDIM, LDM, LDM super-resolution."""

from typing import TYPE_CHECKING

from frdiff_tune.runtime.families.unet import UNet

if TYPE_CHECKING:
    from torch import nn


class UnconditionalUNet(UNet):
    """``UNet2DModel``: first convolutions, and attention over positions that adds its own input."""

    parts = {"ResnetBlock2D": ("conv", "convolution"), "Attention": ("attention", "residual")}

    def is_site(self, module: "nn.Module") -> bool:
        """Whether attention adds its input and scales nothing; else what is kept would not be a residual."""
        return bool(getattr(module, "residual_connection", True)) and getattr(module, "rescale_output_factor", 1.0) == 1.0
