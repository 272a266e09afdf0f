"""Transformers with adaptive norms: DiT and PixArt."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from frdiff_tune.runtime.families._base import Family, Kind

if TYPE_CHECKING:
    from torch import nn


class DiT(Family):
    """``DiTTransformer2DModel``: attention and feed-forward before their gates, and whole-block residuals.

    ``DiTPipeline`` doubles its latents and walks the solver on both halves, the conditional one first; that a call is a
    guidance pair shows in its class labels, whose second half is the label of no class.

    References:
        | FRDiff: Feature Reuse for Universal Training-free Acceleration of Diffusion Models (So et al., 2024)
        | https://arxiv.org/abs/2312.03517
    """

    component = "transformer"
    sample_argument = "hidden_states"
    paper_groups = ("attention",)
    conditional_first = True

    def places(self, denoiser: "nn.Module") -> Iterator[tuple[str, str, Kind]]:
        """Yields attention, cross-attention, feed-forward and the block itself, block by block."""
        for i, block in enumerate(denoiser.get_submodule("transformer_blocks").children()):
            path = f"transformer_blocks.{i}"
            yield f"{path}.attn1", "attention", "output"
            if getattr(block, "attn2", None) is not None:
                yield f"{path}.attn2", "cross_attention", "output"
            yield f"{path}.ff", "feed_forward", "output"
            yield path, "block", "residual"

    def pairs_itself(self, arguments: dict[str, Any], batch: int) -> bool:
        """Whether the second half of the class labels is the label of no class."""
        labels = arguments.get("class_labels")
        if labels is None or batch % 2:
            return False
        return bool((labels[batch // 2 :] == NO_CLASS).all()) and not bool((labels[: batch // 2] == NO_CLASS).all())


class PixArt(DiT):
    """``PixArtTransformer2DModel``: as DiT, with cross-attention; guidance as in Stable Diffusion."""

    conditional_first = False

    def pairs_itself(self, arguments: dict[str, Any], batch: int) -> bool:
        """Its pipelines walk the solver on one half, so the batch tells."""
        return False


NO_CLASS = 1000
"""The label with which ``DiTPipeline`` asks for no class."""
