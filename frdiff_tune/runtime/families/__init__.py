"""The architectures that the runtime knows, by denoiser class."""

from frdiff_tune.runtime.families._base import GUIDANCE, Family, Kind, Site
from frdiff_tune.runtime.families.dit import DiT, PixArt
from frdiff_tune.runtime.families.unet import UNet

FAMILIES: dict[str, Family] = {
    "UNet2DConditionModel": UNet(),
    "DiTTransformer2DModel": DiT(),
    "PixArtTransformer2DModel": PixArt(),
}

__all__ = ["FAMILIES", "GUIDANCE", "Family", "Kind", "Site"]
