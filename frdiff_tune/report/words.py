"""A policy in words: what it does with a run, in one line that needs no table."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from frdiff_tune.policy import Policy

SCHEDULERS: dict[str, str] = {
    "LinearMultistepScheduler": "fitted",
    "DDIMScheduler": "DDIM",
    "DDPMScheduler": "DDPM",
    "DEISMultistepScheduler": "DEIS",
    "DPMSolverMultistepScheduler": "DPM-Solver++",
    "DPMSolverSinglestepScheduler": "DPM-Solver++ (singlestep)",
    "EulerDiscreteScheduler": "Euler",
    "EulerAncestralDiscreteScheduler": "Euler ancestral",
    "FlowMatchEulerDiscreteScheduler": "flow-matching Euler",
    "HeunDiscreteScheduler": "Heun",
    "LMSDiscreteScheduler": "LMS",
    "PNDMScheduler": "PNDM",
    "UniPCMultistepScheduler": "UniPC",
}
DENSER = 1.3  # a part of the run must have this many times the keyframes of an equally long one to be called denser


def launched(capture: str) -> str:
    """Returns how the network is launched, as an addition to what a policy does; nothing where that is as ever."""
    return {"cuda_graphs": ", by CUDA graphs", "compile": ", compiled"}.get(capture, "")


def solver(name: str) -> str:
    """Returns how people call a scheduler class."""
    return SCHEDULERS.get(name, name.removesuffix("Scheduler"))


COSTS = {
    "latency_ms": "latency, ms per call",
    "speedup": "speed-up over the reference",
    "images_per_s": "pictures per second",
    "cache_mib": "kept by a run, MiB",
    "peak_mib": "peak memory, MiB",
    "energy_j": "energy per picture, J",
}
METRICS = {"lpips": "LPIPS", "psnr": "PSNR", "ssim": "SSIM", "ms_ssim": "MS-SSIM"}
STATISTICS = {"mean": "", "median": ", median", "p90": ", 90th percentile", "flips": ": share of flips"}


def figure_name(name: str) -> str:
    """Returns what people call a figure that an objective or a limit names, with its unit: ``lpips_p90``, ``latency_ms``."""
    from frdiff_tune.measure import Figure

    if name in COSTS:
        return COSTS[name]
    figure = Figure.parse(name)
    unit = "" if figure.unit == "1" else f", {figure.unit}"
    return f"{METRICS.get(figure.metric, figure.metric)}{STATISTICS[figure.statistic]}{unit}"


def network_calls(count: int) -> str:
    """Returns so many network calls in words."""
    return "1 network call" if count == 1 else f"{count} network calls"


def describe(policy: Policy) -> str:
    """Returns one line: the solver and its steps, where the network runs, what is reused and what stands in for it."""
    grid = policy.sampling.grid
    if grid is not None:
        weights = "fitted" if policy.fit is not None else "first-order"
        head = f"{policy.T} of the reference's {grid.T} steps, with {weights} weights"
        return "; ".join([head, *filter(None, (_reuse(policy),))])
    head = f"{policy.T} {solver(policy.sampling.scheduler.name)} steps{_spacing(policy)}"
    if all(lam == 1 for lam in policy.mixing) and not policy.masks:
        return f"{head}, every one computed in full"
    return "; ".join([head, *(part for part in (_keyframes(policy), _jumps(policy), _reuse(policy)) if part)])


def _spacing(policy: Policy) -> str:
    spacing = policy.sampling.scheduler.config.get("timestep_spacing")
    return f" ({spacing})" if spacing else ""


def rhythm(keyframes: str) -> str:
    """Returns how keyframes are spread over a run: evenly, denser at both ends, early or late, or unevenly.

    Arguments:
        keyframes: One character per step, ``1`` at a keyframe.
    """
    T = len(keyframes)
    steps = [t for t, mark in enumerate(keyframes) if mark == "1"]
    gaps = {later - earlier for earlier, later in pairwise(steps)}
    if len(gaps) == 1 and T - steps[-1] <= max(gaps):
        gap = gaps.pop()
        return "at every step" if gap == 1 else f"every {gap} steps"
    if len(steps) == 1:
        return "at the first step only"
    first, last = sum(t < T / 4 for t in steps), sum(t >= 3 * T / 4 for t in steps)
    if min(first, last) > DENSER * (len(steps) - first - last) / 2:
        return "denser at both ends"
    early = sum(t < T / 2 for t in steps)
    late = len(steps) - early
    if early >= DENSER * late:
        return "denser early"
    return "denser late" if late >= DENSER * early else "unevenly spread"


def _keyframes(policy: Policy) -> str:
    count = policy.keyframes.count("1")
    if count == policy.T:
        return "a keyframe at every step"
    return f"{count} keyframe{'s' if count > 1 else ''} {rhythm(policy.keyframes)}"


def _jumps(policy: Policy) -> str:
    count = policy.T - policy.nfe
    if not count:
        return ""
    nodes = max(len(step.weights) for step in policy.plan() if not step.calls)
    how = "the last score held" if nodes == 1 else f"the score forecast from up to {nodes} keyframes"
    jump = "1 step jumps" if count == 1 else f"{count} steps jump"
    return f"{jump} without a network call, {how}"


def _reuse(policy: Policy) -> str:
    plan = policy.plan()
    reused = {name: sum(name in step.reuses for step in plan) for name in policy.masks}
    words = {name: "forecast" if name in policy.forecast else "reused" for name in reused}
    parts = [f"{name} {words[name]} at {count}" for name, count in reused.items() if count]
    mixed = sum(0 < step.lam < 1 for step in plan)
    if mixed:
        parts.append(f"scores mixed at {mixed}")
    return ", ".join(parts) + f" of {network_calls(policy.nfe)}" if parts else ""
