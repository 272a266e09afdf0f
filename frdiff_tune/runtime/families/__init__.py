"""The architectures that the runtime knows, by denoiser class."""

from frdiff_tune.runtime.families._base import CONTROLNET, GUIDANCE, Family, Kind, Place, Site
from frdiff_tune.runtime.families.auraflow import AuraFlow
from frdiff_tune.runtime.families.cogvideox import CogVideoX
from frdiff_tune.runtime.families.dit import DiT
from frdiff_tune.runtime.families.flux import Flux
from frdiff_tune.runtime.families.flux2 import Flux2
from frdiff_tune.runtime.families.generic import Generic
from frdiff_tune.runtime.families.hunyuan_dit import HunyuanDiT
from frdiff_tune.runtime.families.hunyuan_video import HunyuanVideo
from frdiff_tune.runtime.families.ltx import LTX
from frdiff_tune.runtime.families.lumina2 import Lumina2
from frdiff_tune.runtime.families.mochi import Mochi
from frdiff_tune.runtime.families.pixart import PixArt
from frdiff_tune.runtime.families.qwen_image import QwenImage
from frdiff_tune.runtime.families.sana import Sana
from frdiff_tune.runtime.families.sd3 import SD3
from frdiff_tune.runtime.families.unet import UNet
from frdiff_tune.runtime.families.unet_motion import MotionUNet
from frdiff_tune.runtime.families.unet_spatio_temporal import SpatioTemporalUNet
from frdiff_tune.runtime.families.unet_unconditional import UnconditionalUNet
from frdiff_tune.runtime.families.wan import Wan
from frdiff_tune.runtime.families.z_image import ZImage

FAMILIES: dict[str, Family] = {
    "UNet2DConditionModel": UNet(),
    "UNet2DModel": UnconditionalUNet(),
    "UNetMotionModel": MotionUNet(),
    "UNetSpatioTemporalConditionModel": SpatioTemporalUNet(),
    "DiTTransformer2DModel": DiT(),
    "PixArtTransformer2DModel": PixArt(),
    "SD3Transformer2DModel": SD3(),
    "FluxTransformer2DModel": Flux(),
    "Flux2Transformer2DModel": Flux2(),
    "SanaTransformer2DModel": Sana(),
    "HunyuanDiT2DModel": HunyuanDiT(),
    "AuraFlowTransformer2DModel": AuraFlow(),
    "Lumina2Transformer2DModel": Lumina2(),
    "QwenImageTransformer2DModel": QwenImage(),
    "ZImageTransformer2DModel": ZImage(),
    "CogVideoXTransformer3DModel": CogVideoX(),
    "LTXVideoTransformer3DModel": LTX(),
    "WanTransformer3DModel": Wan(),
    "HunyuanVideoTransformer3DModel": HunyuanVideo(),
    "MochiTransformer3DModel": Mochi(),
}
GENERIC = Generic()
"""For what ``FAMILIES`` does not name."""

__all__ = ["CONTROLNET", "FAMILIES", "GENERIC", "GUIDANCE", "Family", "Kind", "Place", "Site"]
