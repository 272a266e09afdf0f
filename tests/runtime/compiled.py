"""Networks that compile within seconds, ways to compile them, and what torch counts meanwhile."""

import functools
from dataclasses import replace
from typing import Any

import torch
import torch._dynamo
from torch import Tensor
from torch._dynamo.utils import counters

from frdiff_tune import keyframe_policy
from frdiff_tune.policy import Policy
from frdiff_tune.runtime import find_denoisers
from tests.pipelines import ROWS
from tests.pipelines.row import Row
from tests.pipelines.stable_diffusion import sd_as, unet
from tests.pipelines.transformers import flux
from tests.tiny import tiny_dit

WAYS = ["whole", "in place", "repeated blocks"]


def _flat_unet() -> Any:
    """One resolution only: every kind of site, a third of the time to compile."""
    blocks = {"down_block_types": ("CrossAttnDownBlock2D",), "mid_block_type": None, "up_block_types": ("CrossAttnUpBlock2D",)}
    return unet(4, block_out_channels=(8,), **blocks)


SUBJECTS: dict[str, Row] = {
    "SD": replace(ROWS["SD text to image"], make=lambda: sd_as("StableDiffusionPipeline", unet=_flat_unet())),
    "DiT": replace(ROWS["DiT"], make=lambda: tiny_dit(layers=2)),
    "FLUX": replace(ROWS["FLUX text to image"], make=lambda: flux(layers=1, single=2)),
}


def compile_as(pipe: Any, way: str, backend: Any) -> bool:
    """Compiles a pipeline's network; tells whether the model can be compiled in this way."""
    denoiser = find_denoisers(pipe)[0]
    module: Any = denoiser.module
    if way == "whole":
        setattr(pipe, denoiser.component, torch.compile(module, backend=backend))
    elif way == "in place":
        module.compile(backend=backend)
    elif getattr(module, "_repeated_blocks", None):
        module.compile_repeated_blocks(backend=backend)
    else:
        return False
    return True


def reset() -> None:
    """Forgets all compiled code, and what was counted."""
    torch._dynamo.reset()
    counters.clear()


def graphs() -> tuple[int, int]:
    """Returns how many graphs were made and how many breaks there were since the last reset."""
    return counters["stats"]["unique_graphs"], sum(counters["graph_break"].values())


@functools.cache
def bare_graphs(name: str, way: str) -> int:
    """Returns how many graphs the network makes without a policy; the backend, which gets them, has no say in it."""
    pipe = SUBJECTS[name].make()
    compile_as(pipe, way, "eager")
    reset()
    SUBJECTS[name].render(pipe)
    made, broken = graphs()
    reset()
    assert broken == 0
    return made


def two_rows(pipe: Any, steps: int) -> Policy:
    """Two groups: both compute, or none."""
    kinds = ["conv", "attention"] if hasattr(pipe, "unet") else ["attention", "feed_forward"]
    return keyframe_policy(pipe, steps, [0, 3], groups=kinds)


def three_rows(pipe: Any, steps: int) -> Policy:
    """Two groups of other rhythms: both compute, one of them, none."""
    policy = two_rows(pipe, steps)
    kinds = list(policy.groups)
    return policy.replace(masks={kinds[0]: "100100", kinds[1]: "101100"})


def many_rows(pipe: Any, steps: int) -> Policy:
    """Sites as groups of their own, so that every step has another row: more than torch's limit of eight."""
    apart = ("conv", "attention") if hasattr(pipe, "unet") else ("attention", "feed_forward", "single")
    sites = [site for site in find_denoisers(pipe)[0].sites if site.group in apart][:4]
    groups = {f"g{i}": [site.name] for i, site in enumerate(sites)}
    policy = keyframe_policy(pipe, steps, [0], groups=groups)
    masks = {name: "1" + "".join("01"[(t >> i) & 1] for t in range(1, steps)) for i, name in enumerate(groups)}
    return policy.replace(masks=masks)


class Spoiler:
    """A backend that spoils all that its graphs have given after every step, as ``mode="reduce-overhead"`` does."""

    def __init__(self) -> None:
        self._given: list[Tensor] = []

    def __call__(self, graph: Any, inputs: Any) -> Any:
        """Returns what runs a graph."""

        def run(*args: Any) -> Any:
            results = tuple(part.clone() if isinstance(part, Tensor) else part for part in graph(*args))
            self._given.extend(part for part in results if isinstance(part, Tensor))
            return results

        return run

    def after(self, step: Any) -> Any:
        """Returns a scheduler's step with the spoiling after it."""

        @functools.wraps(step)
        def patched(*args: Any, **kwargs: Any) -> Any:
            result = step(*args, **kwargs)
            for tensor in self._given:
                tensor.fill_(float("nan") if tensor.is_floating_point() else 0)
            self._given.clear()
            return result

        return patched
