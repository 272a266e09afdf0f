"""Nested tuples, lists and dicts of tensors, as networks take and return them."""

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


def leaves(tree: Any) -> Iterator["Tensor"]:  # noqa: ANN401
    """Yields the tensors of nested tuples, lists and dicts."""
    if isinstance(tree, dict):
        tree = list(tree.values())
    if isinstance(tree, (tuple, list)):
        for part in tree:
            yield from leaves(part)
    elif hasattr(tree, "shape"):
        yield tree


def map_tensors(function: "Callable[[Tensor], Tensor]", tree: Any) -> Any:  # noqa: ANN401
    """Applies ``function`` to every tensor of nested tuples, lists and dicts; other values stay."""
    import torch

    if isinstance(tree, torch.Tensor):
        return function(tree)
    if isinstance(tree, dict):
        mapped = {key: map_tensors(function, part) for key, part in tree.items()}
        return mapped if type(tree) is dict else type(tree)(**mapped)
    if isinstance(tree, (tuple, list)):
        return _as(tree, (map_tensors(function, part) for part in tree))
    return tree


def zip_tensors(function: "Callable[[Tensor, Tensor], Tensor]", a: Any, b: Any) -> Any:  # noqa: ANN401
    """Applies ``function`` to the tensors of two nested structures of the same form; what is no tensor is the second's."""
    if isinstance(a, dict):
        zipped = {key: zip_tensors(function, a[key], b[key]) for key in a}
        return zipped if type(a) is dict else type(a)(**zipped)
    if isinstance(a, (tuple, list)):
        return _as(a, (zip_tensors(function, x, y) for x, y in zip(a, b, strict=True)))
    return function(a, b) if hasattr(a, "shape") else b


def _as(tree: Any, parts: Iterable[Any]) -> Any:  # noqa: ANN401
    """Returns parts in the form of a tuple, a named tuple or a list."""
    return type(tree)(*parts) if hasattr(tree, "_fields") else type(tree)(parts)


def half_of(length: int, first: bool) -> slice:
    """Returns the first or the second half of a batch of ``length`` entries."""
    return slice(0, length // 2) if first else slice(length // 2, length)
