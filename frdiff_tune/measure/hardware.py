"""The machine that figures were taken on."""

import os
import platform
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import torch

from frdiff_tune.measure.case import digest_of
from frdiff_tune.policy import Machine, Policy
from frdiff_tune.runtime import Capture

KIND = (
    "device", "compute_capability", "driver", "torch", "diffusers", "cuda", "cudnn", "cpu", "cores",
    "attention", "tf32", "determinism", "dtype", "batch", "height", "width", "compile", "capture",
)  # fmt: skip
"""The fields of ``Machine`` that tell whether two machines are the same kind for timing."""
NOTED = ("clock_mhz", "memory_clock_mhz", "memory_bytes")
"""Further fields that a check reports: clocks may be capped by whoever runs it, memory differs by what the system keeps."""


def machine_info(
    pipe: Any,  # noqa: ANN401
    batch: int = 1,
    height: int | None = None,
    width: int | None = None,
    capture: Capture = "eager",
) -> Machine:
    """Returns what is known of the machine and of how the pipeline is called on it.

    Arguments:
        pipe: A diffusers pipeline on the device that is meant.
        batch: Pictures per call.
        height: Of the pictures, in pixels; None if unknown.
        width: Of the pictures, in pixels; None if unknown.
        capture: How the network is launched under a policy.
    """
    import diffusers

    device = pipe_device(pipe)
    return Machine(
        device=device_name(device),
        **_device_facts(device),
        driver=_driver() if device.type == "cuda" else None,
        torch=torch.__version__,
        diffusers=diffusers.__version__,
        cuda=torch.version.cuda if device.type == "cuda" else None,
        cpu=cpu_name(),
        cores=torch.get_num_threads() if device.type == "cpu" else os.cpu_count(),
        attention=attention_of(pipe),
        tf32=_tf32(),
        determinism=_determinism(),
        compile="compiled" if is_compiled(pipe) else "eager",
        dtype=str(getattr(pipe, "dtype", torch.float32)).removeprefix("torch."),
        batch=batch,
        height=height,
        width=width,
        capture=capture,
    )


def machine_digest(machine: Machine) -> str:
    """Returns a SHA-256, hexadecimal, that is equal where two timings may be compared: see ``KIND``."""
    return digest_of(machine.model_dump(mode="json", include=set(KIND)))


def differences(stated: Machine, now: Machine) -> dict[str, tuple[Any, Any]]:
    """Returns the fields in which two machines differ: name -> (stated, now); what one does not know is no difference."""
    old, new = stated.model_dump(), now.model_dump()
    both = {name: (old[name], new[name]) for name in (*KIND, *NOTED)}
    return {name: pair for name, pair in both.items() if None not in pair and pair[0] != pair[1]}


def pipe_device(pipe: Any) -> torch.device:  # noqa: ANN401
    """Returns where the pipeline's networks run, also when parts of it are offloaded between calls."""
    return torch.device(getattr(pipe, "_execution_device", None) or pipe.device)


def capture_of(policy: Policy, pipe: Any) -> Capture:  # noqa: ANN401
    """Returns how a policy's network was launched when it was measured; by kernels where a pipeline's device has no graphs."""
    stated: Capture = policy.machine.capture if policy.machine else "eager"
    return "eager" if stated == "cuda_graphs" and pipe_device(pipe).type != "cuda" else stated


def device_name(device: torch.device) -> str:
    """Returns the device's own name, such as ``"NVIDIA H100 80GB HBM3"``, or its type where it has none."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def attention_of(pipe: Any) -> str:  # noqa: ANN401
    """Returns what computes attention: the networks' processors, diffusers' backend, torch's kernels that may be chosen."""
    from frdiff_tune.runtime.site import find_denoisers

    modules = [module for denoiser in find_denoisers(pipe) for module in denoiser.module.modules()]
    found = [module.processor for module in modules if getattr(module, "processor", None) is not None]
    processors = sorted({type(processor).__name__ for processor in found})
    own = sorted({str(getattr(each, "_attention_backend", None) or _default_backend()) for each in found})
    backends: Any = torch.backends.cuda
    asked = {"flash": backends.flash_sdp_enabled, "efficient": backends.mem_efficient_sdp_enabled}
    asked |= {"math": backends.math_sdp_enabled, "cudnn": backends.cudnn_sdp_enabled}
    kernels = "+".join(name for name, enabled in asked.items() if enabled())
    return ", ".join(("+".join(processors) or "none", "+".join(own) or "none", kernels))


def _default_backend() -> str:
    """Returns diffusers' backend where a network has none of its own, which it tells only under private names."""
    try:
        from diffusers.models.attention_dispatch import _AttentionBackendRegistry

        return str(_AttentionBackendRegistry.get_active_backend()[0].value)
    except (ImportError, AttributeError, TypeError):
        return "unknown"


def is_compiled(pipe: Any) -> bool:  # noqa: ANN401
    """Returns whether the user compiled a network, or a part of one."""
    from frdiff_tune.runtime.site import find_denoisers

    modules = [module for denoiser in find_denoisers(pipe) for module in denoiser.module.modules()]
    return any(getattr(module, "_compiled_call_impl", None) is not None for module in modules)


def _device_facts(device: torch.device) -> dict[str, Any]:
    """Returns what is known of a device: memory in bytes, compute capability, highest clocks in MHz, cuDNN's version."""
    if device.type != "cuda":
        return {"memory_bytes": _system_bytes()} if device.type == "cpu" else {}
    from frdiff_tune.measure.nvml import gpu_of

    cudnn: Any = torch.backends.cudnn
    properties, gpu = torch.cuda.get_device_properties(device), gpu_of(str(device))
    clock, memory_clock = (None, None) if gpu is None else gpu.most_clocks_mhz()
    return {
        "memory_bytes": properties.total_memory,
        "compute_capability": f"{properties.major}.{properties.minor}",
        "clock_mhz": clock,
        "memory_clock_mhz": memory_clock,
        "cudnn": str(cudnn.version()) if cudnn.is_available() else None,
    }


def _system_bytes() -> int | None:
    """Returns the system's memory; None where it does not tell."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return None


def _tf32() -> tuple[str, ...] | None:
    try:
        asked = {"matmul": torch.backends.cuda.matmul.allow_tf32, "conv": torch.backends.cudnn.allow_tf32}
    except RuntimeError:  # torch refuses to tell in old words what was set in new ones
        return None
    return tuple(name for name, allowed in asked.items() if allowed)


def _determinism() -> tuple[str, ...]:
    cudnn = torch.backends.cudnn
    asked = {"deterministic": torch.are_deterministic_algorithms_enabled()}
    asked |= {"cudnn_deterministic": cudnn.deterministic, "cudnn_benchmark": cudnn.benchmark}
    return tuple(name for name, wanted in asked.items() if wanted)


@cache
def cpu_name() -> str | None:
    """Returns the processor's name, or None if the system does not tell."""
    try:
        rows = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(row.split(":", 1)[1].strip() for row in rows if row.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or None


@cache
def _driver() -> str | None:
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return (done.stdout.splitlines() or [""])[0].strip() or None
