"""FLUX.1: blocks of two streams, then blocks of one."""

from frdiff_tune.runtime.families.transformer import TEXT_FIRST, Transformer


class Flux(Transformer):
    """``FluxTransformer2DModel``; in a single block attention and feed-forward meet before one gate: one site."""

    lists = {"transformer_blocks": TEXT_FIRST, "single_transformer_blocks": TEXT_FIRST}
    parts = {"attn": "attention", "ff": "feed_forward", "ff_context": "feed_forward"}
    fused = ("single_transformer_blocks",)
    paper_groups = ("attention", "single")
    raw_timestep = False
    channels = -1
