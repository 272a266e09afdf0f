"""A policy of four steps whose tables a reader can check by hand."""

from typing import Any

from frdiff_tune.policy import ModelInfo, Policy, Sampling, SchedulerInfo


def toy_policy(**changes: Any) -> Policy:
    """Keyframes 0 and 2; step 1 mixes, step 3 jumps; group a computes at step 0 alone."""
    fields: dict[str, Any] = {
        "model": ModelInfo(pipeline="P", denoiser="D", digest="d"),
        "sampling": Sampling(
            num_inference_steps=4, T=4, scheduler=SchedulerInfo(name="DDIMScheduler", config={"trained_betas": None})
        ),
        "keyframes": "1010",
        "mixing": (1.0, 0.25, 1.0, 0.0),
        "groups": {"a": ("unet.b",)},
        "masks": {"a": "1000"},
    }
    return Policy(**(fields | changes))
