"""Stable Diffusion 3 and 3.5: picture and text attend to each other."""

from frdiff_tune.runtime.families.transformer import TEXT_FIRST, Transformer


class SD3(Transformer):
    """``SD3Transformer2DModel``; 3.5 medium has a second attention of the picture alone in its first blocks."""

    lists = {"transformer_blocks": TEXT_FIRST}
    parts = {"attn": "attention", "attn2": "attention", "ff": "feed_forward", "ff_context": "feed_forward"}
