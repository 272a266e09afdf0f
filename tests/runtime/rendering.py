"""Running pipelines in tests: final latents as one tensor, and snapshots of what stands on a pipeline's objects."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

PROMPT = "a fox on a blue background"


def render(call: Callable[..., Any], pipe: Any, seed: int = 0, batch: int = 1, **arguments: Any) -> Tensor:
    """Returns the pictures of one call, with shape (batch, height, width, 3), values in [0, 1]."""
    subject = [207] * batch if "DiT" in type(pipe).__name__ else [PROMPT] * batch
    if "PixArt" in type(pipe).__name__:
        arguments["use_resolution_binning"] = False  # it knows only published sizes
    generators = [torch.Generator().manual_seed(seed + i) for i in range(batch)]
    return torch.from_numpy(call(subject, generator=generators, output_type="np", **arguments).images)


def relative(a: Tensor, b: Tensor) -> float:
    """Returns the relative L2 distance of a from b."""
    return float((a.double() - b.double()).norm() / b.double().norm())


@dataclass(frozen=True)
class Kept:
    """A value that equals only itself; kept, so that nothing else gets its identity."""

    value: Any

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Kept) and self.value is other.value

    __hash__ = None  # type: ignore[assignment]


def snapshot(pipe: Any) -> dict[str, dict[str, Any]]:
    """Returns all that stands in ``__dict__`` of every module, and by name of the pipeline and its scheduler.

    Values are compared by identity, those of dicts (parameters, buffers, hooks, children) one by one; what a call leaves on
    the pipeline and in its scheduler changes from call to call, so there only methods are compared.
    """
    found = {"pipe": _names(pipe), "scheduler": _names(pipe.scheduler)}
    for name, part in pipe.components.items():
        if isinstance(part, nn.Module):
            found |= {f"{name}.{path}": _values(module) for path, module in part.named_modules()}
    return found


def _names(owner: object) -> dict[str, Any]:
    return {name: Kept(value) if callable(value) else "state" for name, value in vars(owner).items()}


def _values(module: nn.Module) -> dict[str, Any]:
    return {
        name: {key: Kept(part) for key, part in value.items()} if isinstance(value, dict) else _kept(value)
        for name, value in vars(module).items()
    }


def _kept(value: Any) -> Any:
    if isinstance(value, (tuple, list)):
        return [_kept(part) for part in value]
    return value if isinstance(value, (bool, int, float, str, set, type(None))) else Kept(value)


def hooks(pipe: Any) -> int:
    """Returns how many hooks stand on the pipeline's modules."""
    parts = [part for part in pipe.components.values() if isinstance(part, nn.Module)]
    modules = [module for part in parts for module in part.modules()]
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) + len(m._backward_hooks) for m in modules)
