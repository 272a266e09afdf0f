"""Timestep lists that others found for fewer steps, as keyframe sets.

A list of n timesteps is walked by DDIM as jumps are: a score that is held over the steps between two keyframes takes the sample
where one long step takes it, because DDIM's step depends on noise levels alone. So a list is a keyframe set of the reference's
own run, up to how near its noise levels come to the listed ones, and the search may go on from there. Lists that are found by
dynamic programming in a model's own runs, as OptimalSteps has them, are the starting points of kind ``found``.

References:
    | Align Your Steps: Optimizing Sampling Schedules in Diffusion Models (Sabour et al., 2024), table 2 and section 4
    | https://arxiv.org/abs/2404.14507
    | Optimal Stepsize for Diffusion Sampling (Pei et al., 2025), https://arxiv.org/abs/2503.21774
"""

from typing import Any

import numpy as np

from frdiff_tune.runtime.solver import timesteps_of


def aligned_keyframes(pipe: Any, steps: int, T: int, size: int) -> tuple[int, ...] | None:  # noqa: ANN401
    """Returns the keyframes that are nearest to an "Align Your Steps" list, or None for models of flow matching.

    The list of Stable Diffusion, or of SDXL for a pipeline of that name, has ten noise levels; other sizes are interpolated in
    their logarithm, as its authors advise.

    Arguments:
        pipe: A diffusers pipeline.
        steps: The reference's ``num_inference_steps``.
        T: Denoiser steps that it walks.
        size: Keyframes; fewer where two levels are nearest to one step.
    """
    from diffusers.schedulers import AysSchedules

    own = pipe.scheduler
    if not hasattr(own, "alphas_cumprod"):
        return None
    kind = "StableDiffusionXLSigmas" if "XL" in type(pipe).__name__ else "StableDiffusionSigmas"
    listed = np.log([sigma for sigma in AysSchedules[kind] if sigma > 0])
    wanted = np.interp(np.linspace(0, len(listed) - 1, size), np.arange(len(listed)), listed)
    times = np.rint(timesteps_of(own, steps)[-T:]).astype(int)
    kept = own.alphas_cumprod.double().numpy()[times.clip(0, len(own.alphas_cumprod) - 1)]
    levels = np.log(np.maximum(1 - kept, 1e-12) / np.maximum(kept, 1e-12)) / 2
    return tuple(sorted({0, *(int(abs(levels - level).argmin()) for level in wanted)}))
