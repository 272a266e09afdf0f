"""PixArt-alpha and -Sigma."""

from frdiff_tune.runtime.families.transformer import Transformer


class PixArt(Transformer):
    """``PixArtTransformer2DModel``: attention, cross-attention, feed-forward."""
