"""Mochi: text to video, a smaller stream for the text."""

from frdiff_tune.runtime.families.transformer import TEXT_LAST, Transformer


class Mochi(Transformer):
    """``MochiTransformer3DModel``; its solver walks from 0 to 1, and it predicts the picture minus the noise."""

    lists = {"transformer_blocks": TEXT_LAST}
    parts = {"attn1": "attention", "ff": "feed_forward", "ff_context": "feed_forward"}
    sign = -1
