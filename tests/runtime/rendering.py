"""Running pipelines in tests: final latents as one tensor, and snapshots of what stands on a pipeline's objects."""

from collections.abc import Callable
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


def snapshot(pipe: Any) -> dict[str, set[str]]:
    """Returns the names in ``__dict__`` of the pipeline, its scheduler and every module."""
    found = {"pipe": set(vars(pipe)), "scheduler": set(vars(pipe.scheduler))}
    for name, part in pipe.components.items():
        if isinstance(part, nn.Module):
            found |= {f"{name}.{path}": set(vars(module)) for path, module in part.named_modules()}
    return found


def hooks(pipe: Any) -> int:
    """Returns how many hooks stand on the pipeline's modules."""
    parts = [part for part in pipe.components.values() if isinstance(part, nn.Module)]
    modules = [module for part in parts for module in part.modules()]
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) + len(m._backward_hooks) for m in modules)
