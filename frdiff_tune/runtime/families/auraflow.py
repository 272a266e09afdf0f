"""AuraFlow: a few joint blocks, then single ones."""

from frdiff_tune.runtime.families._base import HIDDEN
from frdiff_tune.runtime.families.transformer import TEXT_FIRST, Transformer


class AuraFlow(Transformer):
    """``AuraFlowTransformer2DModel``."""

    lists = {"joint_transformer_blocks": TEXT_FIRST, "single_transformer_blocks": HIDDEN}
    parts = {"attn": "attention", "ff": "feed_forward", "ff_context": "feed_forward"}
    raw_timestep = False
