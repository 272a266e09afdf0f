"""UNets over space and time: Stable Video Diffusion."""

from frdiff_tune.runtime.families.unet import UNet


class SpatioTemporalUNet(UNet):
    """``UNetSpatioTemporalConditionModel``: first convolutions over space and over time, transformers over both."""

    parts = {
        "ResnetBlock2D": ("conv", "convolution"),
        "TemporalResnetBlock": ("temporal_conv", "convolution"),
        "TransformerSpatioTemporalModel": ("attention", "residual"),
    }
    blocks = ("BasicTransformerBlock", "TemporalBasicTransformerBlock")
    channels = 2
    paper_groups = ("conv", "temporal_conv", "attention")
