"""How features are kept between the steps of a run: in which precision, on which device, and for how long."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from frdiff_tune.errors import MismatchError
from frdiff_tune.runtime.tree import map_tensors

if TYPE_CHECKING:
    import torch
    from torch import Tensor

NARROW = ("float16", "bfloat16", "float8_e4m3fn", "float8_e5m2")
"""What features may be kept in; those of a network that computes in as few bits or fewer stay as they are."""


class Packed(NamedTuple):
    """A tensor that is kept in fewer bits, or elsewhere.

    Attributes:
        value: The tensor over ``scale``, in the narrow dtype and on the device of the cache.
        scale: One factor per entry of the first dimension, with shape (batch, 1, ...); None where the narrow dtype reaches as
            far as the tensor's own.
        dtype: The tensor's own.
        device: Where it was.
    """

    value: "Tensor"
    scale: "Tensor | None"
    dtype: "torch.dtype"
    device: "torch.device"

    def unpacked(self) -> "Tensor":
        """Returns a new tensor in its own dtype, on its own device."""
        value = self.value.to(self.device, non_blocking=True).to(self.dtype)
        return value if self.scale is None else value * self.scale.to(self.device, non_blocking=True).to(self.dtype)


@dataclass(frozen=True, slots=True)
class Storage:
    """What becomes of features between the step that computes them and those that give them back.

    Arguments:
        dtype: One of ``NARROW``, or None to keep them as they are.
        device: Where they wait, or None to leave them where they are.
        keep_alive: Whether they are freed only when the next run begins.
    """

    dtype: "torch.dtype | None" = None
    device: "torch.device | None" = None
    keep_alive: bool = False

    @property
    def packs(self) -> bool:
        """Whether what is kept is another tensor than what the network gave."""
        return self.dtype is not None or self.device is not None

    def pack(self, tree: Any) -> Any:  # noqa: ANN401
        """Returns nested tensors as they are kept."""
        return map_tensors(self._packed, tree) if self.packs else tree

    def _packed(self, tensor: "Tensor") -> Any:  # noqa: ANN401
        dtype = self.dtype if self._narrows(tensor) else None
        value, scale = (tensor, None) if dtype is None else _narrowed(tensor, dtype)
        if self.device is not None:
            value = value.to(self.device, non_blocking=True)
            scale = None if scale is None else scale.to(self.device, non_blocking=True)
        return tensor if value is tensor else Packed(value, scale, tensor.dtype, tensor.device)

    def _narrows(self, tensor: "Tensor") -> bool:
        return self.dtype is not None and tensor.is_floating_point() and self.dtype.itemsize < tensor.dtype.itemsize


AS_IT_IS = Storage()
"""Features are kept as the network gave them, until the run ends."""


def _narrowed(tensor: "Tensor", dtype: "torch.dtype") -> "tuple[Tensor, Tensor | None]":
    """Returns a tensor in a narrow dtype, and what to multiply it by; no value overflows."""
    import torch

    most = torch.finfo(dtype).max
    if most >= torch.finfo(tensor.dtype).max / 2:  # bfloat16 reaches as far as float32
        return tensor.to(dtype), None
    greatest = torch.linalg.vector_norm(tensor.flatten(1).float(), float("inf"), dim=1).clamp(min=1e-30)
    scale = (greatest / most).reshape(-1, *[1] * (tensor.ndim - 1))
    return (tensor / scale).to(dtype), scale


def unpacked(tree: Any) -> Any:  # noqa: ANN401
    """Returns nested tensors as the network gave them."""
    if isinstance(tree, Packed):
        return tree.unpacked()
    if isinstance(tree, dict):
        mapped = {key: unpacked(part) for key, part in tree.items()}
        return mapped if type(tree) is dict else type(tree)(**mapped)
    if isinstance(tree, (tuple, list)):
        return type(tree)(unpacked(part) for part in tree)
    return tree


def bytes_of(tensors: "Iterable[Tensor]") -> int:
    """Returns the bytes of the memory that tensors hold, shared memory once."""
    memory = [tensor.untyped_storage() for tensor in tensors]
    return sum({part.data_ptr(): part.nbytes() for part in memory}.values())


def make_storage(dtype: Any, device: Any, keep_alive: bool) -> Storage:  # noqa: ANN401
    """Returns how features are kept, from the options of ``apply_policy``.

    Raises:
        MismatchError: If the dtype is none of ``NARROW``, or the device none of torch's.
    """
    import torch

    name = str(dtype).removeprefix("torch.")
    if dtype is not None and name not in NARROW:
        raise MismatchError(
            f"`cache_dtype` must be one of {', '.join(NARROW)}, or None for the network's own, but got {dtype!r}. "
            f'"bfloat16" halves what a float32 network keeps, "float8_e4m3fn" what one in 16 bits keeps.'
        )
    try:
        place = None if device is None else torch.device(device)
    except RuntimeError as error:
        raise MismatchError(
            f'`cache_device` must be a device of torch, as "cpu" or "cuda:1", or None to leave features where they are, '
            f"but got {device!r}."
        ) from error
    return Storage(None if dtype is None else getattr(torch, name), place, bool(keep_alive))
