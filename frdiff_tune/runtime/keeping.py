"""What a site does in the present network call, and what it keeps: all that the patched modules read and write."""

from typing import TYPE_CHECKING, Any

from frdiff_tune.runtime.storage import Packed, Storage, unpacked
from frdiff_tune.runtime.tree import leaves, map_tensors

if TYPE_CHECKING:
    from torch import Tensor

PLAIN, STORE, REUSE = 0, 1, 2
"""What a site does: as if no policy were on; compute and keep; give back. Plain numbers, which compilers specialise on."""


class SiteState:
    """One site during one network call; between calls it is plain.

    Nothing else of a run is read inside the network, so ``torch.compile`` makes one graph per distinct set of actions.

    Arguments:
        storage: How features are kept.

    Attributes:
        action: What the site does.
        nodes: What the last computing steps kept, newest first; set where the site reuses.
        weights: Weights of ``nodes``, with shape (nodes,) in float32; None gives back the newest as it is.
        fresh: What the site kept in this call; set where it stores.
        version: How often ``fresh`` had been written to when it was kept; what it is now tells of changes in place.
        copies: Whether what is kept and given back must be tensors of its own, because the network writes into them.
    """

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self.action = PLAIN
        self.nodes: tuple[Any, ...] = ()
        self.weights: Tensor | None = None
        self.fresh: Any = None
        self.version = 0
        self.copies = False

    def clear(self) -> None:
        """Makes the site plain again."""
        self.action, self.nodes, self.weights, self.fresh = PLAIN, (), None, None

    def keep(self, taken: Any) -> None:  # noqa: ANN401
        """Keeps what a site that stores has computed."""
        self.fresh = _copied(taken) if self.copies and not self.storage.packs else self.storage.pack(taken)

    def given(self) -> Any:  # noqa: ANN401
        """Returns what a site that reuses gives back: the newest node, or the weighted sum of all."""
        if self.weights is not None:
            return weighted(self.weights, self.nodes)
        newest = self.nodes[0]
        return _copied(newest) if self.copies and not self.storage.packs else unpacked(newest)


def weighted(weights: "Tensor", nodes: tuple[Any, ...]) -> Any:  # noqa: ANN401
    """Returns sum_k weights[k] * nodes[k], for tensors and for nested tuples of them, in the tensors' own dtype."""
    first = nodes[0]
    if first is None:
        return None
    if isinstance(first, (tuple, list)) and not isinstance(first, Packed):
        return type(first)(weighted(weights, tuple(node[i] for node in nodes)) for i in range(len(first)))
    total = weights[0] * unpacked(first)
    for k in range(1, len(nodes)):
        total = total + weights[k] * unpacked(nodes[k])
    return total.to(first.dtype)


def _copied(tree: Any) -> Any:  # noqa: ANN401
    return map_tensors(lambda tensor: tensor.clone(), tree)


def version(tree: Any) -> int:  # noqa: ANN401
    """Returns how often the tensors of a tree have been written to; 0 where torch does not count (inference mode)."""
    return sum(0 if tensor.is_inference() else tensor._version for tensor in leaves(tree))
