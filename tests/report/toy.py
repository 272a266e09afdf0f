"""Policies written by hand, small enough to read their charts."""

from typing import Any

from frdiff_tune.policy import Latency, Machine, Measured, ModelInfo, Policy, Provenance, Quality, Sampling, SchedulerInfo

MODEL = ModelInfo(pipeline="StableDiffusionPipeline", denoiser="UNet2DConditionModel", digest="0" * 64, source="demo:emoji")


def toy_policy(keyframes: str, scheduler: str = "DDIMScheduler", **tables: Any) -> Policy:  # noqa: ANN401
    """Returns a policy over ``len(keyframes)`` trailing steps; lam is 1 unless given."""
    T = len(keyframes)
    solver = SchedulerInfo(name=scheduler, config={"timestep_spacing": "trailing"})
    sampling = Sampling(num_inference_steps=T, T=T, scheduler=solver)
    return Policy(**{"model": MODEL, "sampling": sampling, "keyframes": keyframes, "mixing": (1.0,) * T} | tables)


def latency(median_ms: float) -> Latency:
    """Returns a latency whose interval is 10 ms wide."""
    return Latency(median_ms=median_ms, low_ms=median_ms - 5, high_ms=median_ms + 5, count=8)


MEASURED = Measured(
    latency=latency(400.0),
    reference_latency=latency(1000.0),
    speedup=2.5,
    speedup_low=2.4,
    speedup_high=2.6,
    quality=(
        Quality(metric="lpips", unit="1", statistic="mean", value=0.0036, low=0.002, high=0.0061, count=32),
        Quality(metric="lpips", unit="1", statistic="flips", value=0.03125, low=0.006, high=0.157, count=32, threshold=0.05),
    ),
    cache_bytes=3 * 2**19,
    cases="1" * 64,
    case_count=32,
    held_out=True,
)
MACHINE = Machine(
    device="cpu", cpu="Some CPU", cores=2, torch="2.9", diffusers="0.42", dtype="float32", batch=1, height=128, width=128
)
PROVENANCE = Provenance(study="demo", trial=17, sampler="TPESampler", seed=0, created="2026-01-01T00:00:00Z")
