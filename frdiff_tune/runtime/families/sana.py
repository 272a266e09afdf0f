"""Sana: linear attention, cross-attention, a convolutional feed-forward."""

from frdiff_tune.runtime.families.transformer import Transformer


class Sana(Transformer):
    """``SanaTransformer2DModel``."""

    raw_timestep = False
