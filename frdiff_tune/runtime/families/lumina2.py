"""Lumina 2: text and picture in one sequence."""

from frdiff_tune.runtime.families._base import HIDDEN
from frdiff_tune.runtime.families.transformer import Transformer


class Lumina2(Transformer):
    """``Lumina2Transformer2DModel``; it is called with the fraction of the way to the picture, and predicts the other way."""

    lists = {"layers": HIDDEN}
    parts = {"attn": "attention", "feed_forward": "feed_forward"}
    sign = -1
    raw_timestep = False
