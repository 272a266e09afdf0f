"""Transformers that no other file knows, if diffusers registers their blocks for its own caches."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from frdiff_tune.runtime.families._base import Family, Place, thirds

if TYPE_CHECKING:
    from torch import nn


class Generic(Family):
    """Whole blocks as residuals, and nothing inside them."""

    paper_groups = ("block",)
    raw_timestep = False
    converts = False

    def places(self, denoiser: "nn.Module") -> Iterator[Place]:
        """Yields the blocks of every list whose blocks are registered."""
        for path, module in denoiser.named_modules():
            found = _registered(type(module))
            if found is not None and path.rpartition(".")[2].isdigit():
                first, text = found.return_hidden_states_index, found.return_encoder_hidden_states_index
                streams = {first: found.hidden_states_argument_name, text: found.encoder_hidden_states_argument_name}
                yield Place(path, "block", "residual", tuple(streams[i] for i in sorted(i for i in streams if i is not None)))

    def depths(self, denoiser: "nn.Module") -> dict[str, tuple[str, ...]]:
        """Returns early, middle and late blocks."""
        return thirds([place.path for place in self.places(denoiser)])

    def knows(self, denoiser: "nn.Module") -> bool:
        """Whether diffusers registers any of a network's blocks."""
        return next(self.places(denoiser), None) is not None


def _registered(block: type) -> Any:  # noqa: ANN401
    """Returns what diffusers says of a block class, or None."""
    from diffusers.hooks._helpers import TransformerBlockRegistry

    try:
        return TransformerBlockRegistry.get(block)
    except ValueError:
        return None
