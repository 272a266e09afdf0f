"""LTX-Video: text to video with cross-attention."""

from frdiff_tune.runtime.families.transformer import Transformer


class LTX(Transformer):
    """``LTXVideoTransformer3DModel``."""

    channels = -1
