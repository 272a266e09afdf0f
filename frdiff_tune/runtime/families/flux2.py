"""FLUX.2: blocks of two streams, then blocks whose attention holds the feed-forward."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from frdiff_tune.runtime.families._base import Place
from frdiff_tune.runtime.families.transformer import TEXT_FIRST, Transformer

if TYPE_CHECKING:
    from torch import nn


class Flux2(Transformer):
    """``Flux2Transformer2DModel``; the attention of a single block runs the feed-forward beside it: one site."""

    lists = {"transformer_blocks": TEXT_FIRST, "single_transformer_blocks": TEXT_FIRST}
    parts = {"attn": "attention", "ff": "feed_forward", "ff_context": "feed_forward"}
    paper_groups = ("attention", "single")
    raw_timestep = False
    channels = -1

    def places(self, denoiser: "nn.Module") -> Iterator[Place]:
        """Yields the parts of a block and the block itself, block by block."""
        for place in super().places(denoiser):
            single = place.path.startswith("single_") and place.kind == "output"
            yield Place(place.path, "single", "output") if single else place
