"""CogVideoX: text to video, joint attention and a joint feed-forward."""

from frdiff_tune.runtime.families.transformer import TEXT_LAST, Transformer


class CogVideoX(Transformer):
    """``CogVideoXTransformer3DModel``."""

    lists = {"transformer_blocks": TEXT_LAST}
    channels = 2
    parts = {"attn1": "attention", "ff": "feed_forward"}
