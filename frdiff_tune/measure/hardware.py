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
        driver=_driver() if device.type == "cuda" else None,
        torch=torch.__version__,
        diffusers=diffusers.__version__,
        cuda=torch.version.cuda if device.type == "cuda" else None,
        cpu=cpu_name(),
        cores=torch.get_num_threads() if device.type == "cpu" else os.cpu_count(),
        dtype=str(getattr(pipe, "dtype", torch.float32)).removeprefix("torch."),
        batch=batch,
        height=height,
        width=width,
        capture=capture,
    )


def machine_digest(machine: Machine) -> str:
    """Returns a SHA-256, hexadecimal, that is equal where two timings may be compared."""
    usual = {"capture"} if machine.capture == "eager" else None  # as before there were other ways
    return digest_of(machine.model_dump(mode="json", exclude=usual))


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
