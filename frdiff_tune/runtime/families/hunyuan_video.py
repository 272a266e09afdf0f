"""HunyuanVideo: blocks of two streams, then blocks of one."""

from frdiff_tune.runtime.families.transformer import TEXT_LAST, Transformer


class HunyuanVideo(Transformer):
    """``HunyuanVideoTransformer3DModel``; a single block is one site before its gate, as in FLUX."""

    lists = {"transformer_blocks": TEXT_LAST, "single_transformer_blocks": TEXT_LAST}
    parts = {"attn": "attention", "ff": "feed_forward", "ff_context": "feed_forward"}
    fused = ("single_transformer_blocks",)
    paper_groups = ("attention", "single")
