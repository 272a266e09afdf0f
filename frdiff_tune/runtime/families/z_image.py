"""Z-Image: text and picture in one sequence, pictures as a list."""

from typing import TYPE_CHECKING, Any

from frdiff_tune.runtime.families.transformer import Transformer

if TYPE_CHECKING:
    from torch import Tensor


class ZImage(Transformer):
    """``ZImageTransformer2DModel``: takes and returns a list of pictures, which here are all of one size."""

    lists = {"layers": ("x",)}
    parts = {"attention": "attention", "feed_forward": "feed_forward"}
    sample_argument = "x"
    listed = ("x", "cap_feats")
    conditional_first = True
    sign = -1
    raw_timestep = False

    def sample(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> "Tensor":
        """Returns the pictures of a call as one tensor, with shape (batch, channels, frames, height, width)."""
        import torch

        return torch.stack(list(args[0] if args else kwargs["x"]))

    def score(self, output: Any) -> "Tensor":  # noqa: ANN401
        """Returns the scores as one tensor."""
        import torch

        return torch.stack(list(output[0]))

    def sample_of(self, score: "Tensor", x: "Tensor") -> Any:  # noqa: ANN401
        """Returns the scores as a list."""
        return list(score.unbind())

    def timestep(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:  # noqa: ANN401
        """Returns the fraction of the way to the picture."""
        return args[1] if len(args) > 1 else kwargs["t"]
