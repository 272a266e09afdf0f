"""Wan 2.1 and 2.2: text to video; 2.2 has a second denoiser for the less noisy steps."""

from frdiff_tune.runtime.families._base import HIDDEN
from frdiff_tune.runtime.families.transformer import Transformer


class Wan(Transformer):
    """``WanTransformer3DModel``."""

    lists = {"blocks": HIDDEN}
    parts = {"attn1": "attention", "attn2": "cross_attention", "ffn": "feed_forward"}
