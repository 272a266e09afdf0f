"""Qwen-Image: two streams, one feed-forward each."""

from frdiff_tune.runtime.families.transformer import TEXT_FIRST, Transformer


class QwenImage(Transformer):
    """``QwenImageTransformer2DModel``."""

    lists = {"transformer_blocks": TEXT_FIRST}
    parts = {"attn": "attention", "img_mlp": "feed_forward", "txt_mlp": "feed_forward"}
    raw_timestep = False
    channels = -1
    listed = ("img_shapes", "txt_seq_lens")
