"""A row of the table of pipelines: how to make a tiny one, and how to call it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

Guidance = Literal["batch", "passes", "none"]


@dataclass(frozen=True, slots=True)
class Row:
    """A pipeline that policies must work on.

    Arguments:
        make: Returns a tiny one with fixed random weights.
        call: (prompt, batch, size) -> arguments of a call; prompt is any whole number, size a factor of the usual one.
        sizes: Factors that it can be called with.
        batches: Batches that it can be called with.
        steps: Step count.
        walked: Steps that the call walks, where they are fewer.
        guidance: How guidance runs: both halves in one batch, in separate passes, or not at all.
        strengths: Another strength that walks as many steps, and one that walks fewer, where a call has one.
    """

    make: Callable[[], Any]
    call: Callable[[int, int, int], dict[str, Any]]
    sizes: tuple[int, ...] = (1, 2)
    batches: tuple[int, ...] = (1, 2)
    steps: int = 6
    walked: int | None = None
    guidance: Guidance = "batch"
    strengths: tuple[float, float] | None = None

    @property
    def T(self) -> int:
        """Steps that the call walks."""
        return self.walked or self.steps

    def render(self, call: Callable[..., Any], prompt: int = 0, batch: int = 1, size: int = 1, **more: Any) -> Tensor:
        """Returns what a call gives, as one tensor.

        Arguments:
            call: The pipeline, or an applied policy.
            prompt: Which one; also the seed of the noise.
            batch: Pictures of the call.
            size: Factor of the usual size.
            more: Further arguments.
        """
        arguments = {"num_inference_steps": self.steps, **self.call(prompt, batch, size), **more}
        generator = torch.Generator().manual_seed(prompt)
        torch.manual_seed(prompt)  # DiT and LDM draw a solver's noise without the generator
        with torch.no_grad():
            result = call(**arguments, generator=generator, return_dict=False)[0]
        return _tensor(result)


def _tensor(result: Any) -> Tensor:
    """Returns latents, arrays or lists of them as one tensor in float32."""
    if isinstance(result, torch.Tensor):
        return result.float()
    if isinstance(result, (list, tuple)):
        return torch.stack([_tensor(part) for part in result])
    return torch.as_tensor(result).float()


def randn(*shape: int, seed: int) -> Tensor:
    """Returns normal numbers that depend on the seed alone."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1000 + seed))


def uniform(*shape: int, seed: int) -> Tensor:
    """Returns numbers in [0, 1) that depend on the seed alone, as a picture."""
    return torch.rand(*shape, generator=torch.Generator().manual_seed(2000 + seed))
