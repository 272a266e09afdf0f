"""Static buffers: where the features of one pass stay while CUDA graphs read and write them."""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from frdiff_tune.runtime.tree import half_of, leaves, map_tensors

if TYPE_CHECKING:
    from frdiff_tune.runtime.capture import Graph

MOST_GRAPHS = 64
"""Graphs of a bank; the one that was used least recently makes room."""


@dataclass(slots=True)
class Bank:
    """The buffers of the sites, and the graphs that use them, of one pass whose call has one form.

    Attributes:
        slots: Site -> what it kept at its last computing steps, newest first; the tensors stay the same, their values move on.
        graphs: What a call does, and its form -> its graph.
    """

    slots: dict[str, list[Any]] = field(default_factory=dict)
    graphs: "OrderedDict[Any, Graph]" = field(default_factory=OrderedDict)

    def push(self, site: str, fresh: Any, count: int, first: bool | None) -> None:  # noqa: ANN401
        """Moves what a site kept on by one slot, and writes what it has computed into the first one.

        Arguments:
            site: Its name.
            fresh: What it computed; nested tensors.
            count: Slots that it needs.
            first: Which half of the batch it computed, the first one or not; None: all of it.
        """
        import torch

        slots = self.slots.setdefault(site, [])
        whole = fresh if not slots else slots[0]
        slots.extend(map_tensors(torch.zeros_like, whole) for _ in range(count - len(slots)))
        for k in range(count - 1, 0, -1):
            _copy(slots[k], slots[k - 1])
        if first is None:
            _copy(slots[0], fresh)
        else:
            _copy(map_tensors(lambda tensor: tensor[half_of(tensor.shape[0], first)], slots[0]), fresh)

    def keep(self, key: Any, graph: "Graph") -> None:  # noqa: ANN401
        """Keeps a graph."""
        self.graphs[key] = graph
        while len(self.graphs) > MOST_GRAPHS:
            self.graphs.popitem(last=False)


def _copy(into: Any, values: Any) -> None:  # noqa: ANN401
    for target, value in zip(leaves(into), leaves(values), strict=True):
        target.copy_(value)
