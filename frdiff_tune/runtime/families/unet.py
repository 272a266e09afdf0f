"""UNets with cross-attention: Stable Diffusion 1.x and 2.x, SDXL, LDM text-to-image."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from frdiff_tune.runtime.families._base import Family, Kind, Place

if TYPE_CHECKING:
    from torch import nn


class UNet(Family):
    """``UNet2DConditionModel``: first convolutions, spatial transformers and their parts, and whole blocks by depth.

    Blocks change shape inside, so their outputs are stored, skip tuples included; the deep half reused as one group is
    what DeepCache does. Cross-attention alone is what T-GATE reuses late in a run.

    Attributes:
        parts: Class of a module -> its group, and how its result is kept.
        blocks: Classes of the blocks of a spatial transformer, whose attentions and feed-forward are sites, too.

    References:
        | FRDiff: Feature Reuse for Universal Training-free Acceleration of Diffusion Models (So et al., 2024)
        | https://arxiv.org/abs/2312.03517
        | DeepCache: Accelerating Diffusion Models for Free (Ma et al., 2023)
        | https://arxiv.org/abs/2312.00858
        | Faster Diffusion via Temporal Attention Decomposition (Liu et al., 2024)
        | https://arxiv.org/abs/2404.02747
    """

    parts: ClassVar[Mapping[str, tuple[str, Kind]]] = {
        "ResnetBlock2D": ("conv", "convolution"),
        "Transformer2DModel": ("attention", "residual"),
    }
    blocks: ClassVar[tuple[str, ...]] = ("BasicTransformerBlock",)
    sample_argument = "sample"
    paper_groups: ClassVar[tuple[str, ...]] = ("conv", "attention")

    def places(self, denoiser: "nn.Module") -> Iterator[Place]:
        """Yields residual blocks, spatial transformers, their parts, and whole blocks."""
        for path, module in denoiser.named_modules():
            found = self.parts.get(type(module).__name__)
            if found is not None and self.is_site(module):
                yield Place(path, *found)
            if type(module).__name__ in self.blocks and ".attentions." in path:
                yield from _inside(path, module)
        depth = len(list(denoiser.get_submodule("down_blocks").children()))
        half = depth // 2
        for i in range(depth):
            yield Place(f"down_blocks.{i}", "deep" if i >= half else "shallow", "output")
        if getattr(denoiser, "mid_block", None) is not None:
            yield Place("mid_block", "deep", "output")
        for i in range(depth):
            yield Place(f"up_blocks.{i}", "deep" if i < depth - half else "shallow", "output")

    def writes_in_place(self, denoiser: "nn.Module", kwargs: dict[str, Any]) -> bool:
        """Whether FreeU is on or a T2I-Adapter adds its residuals."""
        free = any(getattr(block, "s1", None) is not None for block in denoiser.get_submodule("up_blocks").children())
        return free or kwargs.get("down_intrablock_additional_residuals") is not None

    def is_site(self, module: "nn.Module") -> bool:
        """Whether a module of one of the classes in ``parts`` is a site."""
        return True

    def depths(self, denoiser: "nn.Module") -> dict[str, tuple[str, ...]]:
        """Returns the parts of the way down, of the middle and of the way up."""
        paths = [place.path for place in self.places(denoiser) if place.group in self.paper_groups]
        parts = {name: tuple(p for p in paths if p.startswith(f"{name}_block")) for name in ("down", "mid", "up")}
        return {name: found for name, found in parts.items() if found}


def _inside(path: str, block: "nn.Module") -> Iterator[Place]:
    """Yields the attentions and the feed-forward of a block of a spatial transformer."""
    for child, group in (("attn1", "self_attention"), ("attn2", "cross_attention"), ("ff", "feed_forward")):
        if getattr(block, child, None) is not None:
            yield Place(f"{path}.{child}", group, "output")
