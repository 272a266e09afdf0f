"""Class-conditional transformers with adaptive norms: DiT."""

from typing import Any

from frdiff_tune.runtime.families.transformer import Transformer

NO_CLASS = 1000
"""The label with which ``DiTPipeline`` asks for no class."""


class DiT(Transformer):
    """``DiTTransformer2DModel``.

    ``DiTPipeline`` doubles its latents and walks the solver on both halves, the conditional one first; that a call is a
    guidance pair shows in its class labels, whose second half is the label of no class.
    """

    conditional_first = True

    def pairs_itself(self, arguments: dict[str, Any], batch: int) -> bool:
        """Whether the second half of the class labels is the label of no class."""
        labels = arguments.get("class_labels")
        if labels is None or batch % 2:
            return False
        return bool((labels[batch // 2 :] == NO_CLASS).all()) and not bool((labels[: batch // 2] == NO_CLASS).all())
