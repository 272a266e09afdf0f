"""Transformers: lists of blocks, and in each block attention, feed-forward and the block itself."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar

from frdiff_tune.runtime.families._base import HIDDEN, Family, Place, thirds

if TYPE_CHECKING:
    from torch import nn

TEXT_FIRST = ("encoder_hidden_states", "hidden_states")
"""Blocks that return the text's states before the picture's."""
TEXT_LAST = ("hidden_states", "encoder_hidden_states")
"""Blocks that return them the other way round."""


class Transformer(Family):
    """A transformer; parts of a block are reused before their gate, so that modulation and gates are computed at every step.

    Attributes:
        lists: Path of a list of blocks -> the streams that its blocks return.
        parts: Child of a block -> group.
        fused: Lists whose blocks join attention and feed-forward before one gate: each block is one site of its own.

    References:
        | FRDiff: Feature Reuse for Universal Training-free Acceleration of Diffusion Models (So et al., 2024)
        | https://arxiv.org/abs/2312.03517
    """

    lists: ClassVar[Mapping[str, tuple[str, ...]]] = {"transformer_blocks": HIDDEN}
    parts: ClassVar[Mapping[str, str]] = {"attn1": "attention", "attn2": "cross_attention", "ff": "feed_forward"}
    fused: ClassVar[tuple[str, ...]] = ()
    paper_groups: ClassVar[tuple[str, ...]] = ("attention",)

    def places(self, denoiser: "nn.Module") -> Iterator[Place]:
        """Yields the parts of a block and the block itself, block by block."""
        for path, block, streams in self._blocks(denoiser):
            if path.rpartition(".")[0] in self.fused:
                yield Place(f"{path}.proj_out", "single", "fused")
            else:
                for child, group in self.parts.items():
                    if getattr(block, child, None) is not None:
                        yield Place(f"{path}.{child}", group, "output")
            yield Place(path, "block", "residual", streams)

    def depths(self, denoiser: "nn.Module") -> dict[str, tuple[str, ...]]:
        """Returns early, middle and late blocks."""
        return thirds([path for path, _, _ in self._blocks(denoiser)])

    def _blocks(self, denoiser: "nn.Module") -> Iterator[tuple[str, "nn.Module", tuple[str, ...]]]:
        for name, streams in self.lists.items():
            for i, block in enumerate(denoiser.get_submodule(name).children()):
                yield f"{name}.{i}", block, streams
