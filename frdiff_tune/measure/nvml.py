"""What an NVIDIA GPU tells of itself through NVML, the library that nvidia-smi asks: clocks, heat, throttling, energy, others.

Each figure is asked for alone: boards, drivers and MIG slices answer only some. NVML is read before and after runs, never
within one, so it costs them nothing.

References:
    | NVML API Reference Guide (NVIDIA), https://docs.nvidia.com/deploy/nvml-api
"""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch

HOLDING_BACK = {  # NVML's names of the reasons -> ours; power_cap is the board's own steady limit under full load
    "SwPowerCap": "power_cap",
    "HwSlowdown": "slowdown",
    "HwPowerBrakeSlowdown": "power_brake",
    "HwThermalSlowdown": "hot",
    "SwThermalSlowdown": "hot",
}


@dataclass(frozen=True, slots=True)
class GpuReading:
    """A GPU at one moment; None where it does not tell.

    Arguments:
        clock_mhz: Of its multiprocessors, in MHz.
        memory_clock_mhz: Of its memory, in MHz.
        temperature_c: In degrees Celsius.
        power_w: In watts.
        throttling: Why its clocks are held back now: ``power_cap``, ``slowdown``, ``power_brake``, ``hot``.
        hot_s: For how long heat has held its clocks back, since the driver was loaded, in s.
        energy_j: What it has used since the driver was loaded, in J.
        others_load: Share of its multiprocessors' time that other processes took since the last reading, in [0, 1].
        others_bytes: Memory that other processes hold.
    """

    clock_mhz: float | None = None
    memory_clock_mhz: float | None = None
    temperature_c: float | None = None
    power_w: float | None = None
    throttling: tuple[str, ...] = ()
    hot_s: float | None = None
    energy_j: float | None = None
    others_load: float | None = None
    others_bytes: int | None = None


class Gpu:
    """An NVIDIA GPU that answers through NVML.

    Arguments:
        handle: NVML's own.
    """

    def __init__(self, handle: Any) -> None:  # noqa: ANN401
        self._handle = handle
        self._asked_at = time.time()

    def read(self) -> GpuReading:
        """Returns its state now."""
        import pynvml

        power_mw = self._ask("nvmlDeviceGetPowerUsage")
        hot = self._ask("nvmlDeviceGetViolationStatus", pynvml.NVML_PERF_POLICY_THERMAL)
        held = self._ask("nvmlDeviceGetComputeRunningProcesses") or []
        return GpuReading(
            clock_mhz=self._ask("nvmlDeviceGetClockInfo", pynvml.NVML_CLOCK_SM),
            memory_clock_mhz=self._ask("nvmlDeviceGetClockInfo", pynvml.NVML_CLOCK_MEM),
            temperature_c=self._ask("nvmlDeviceGetTemperature", pynvml.NVML_TEMPERATURE_GPU),
            power_w=None if power_mw is None else power_mw / 1e3,
            throttling=self._throttling(),
            hot_s=None if hot is None else hot.violationTime / 1e9,
            energy_j=self.energy_j(),
            others_load=self._others_load(),
            others_bytes=int(sum(foreign([(row.pid, row.usedGpuMemory or 0) for row in held], os.getpid()))),
        )

    def energy_j(self) -> float | None:
        """Returns what it has used since the driver was loaded, in J; None where it does not tell."""
        used_mj = self._ask("nvmlDeviceGetTotalEnergyConsumption")
        return None if used_mj is None else used_mj / 1e3

    def most_clocks_mhz(self) -> tuple[int | None, int | None]:
        """Returns the highest clocks of multiprocessors and memory, in MHz."""
        import pynvml

        kinds = (pynvml.NVML_CLOCK_SM, pynvml.NVML_CLOCK_MEM)
        sm, memory = (self._ask("nvmlDeviceGetMaxClockInfo", kind) for kind in kinds)
        return sm, memory

    def _throttling(self) -> tuple[str, ...]:
        import pynvml

        reasons = self._ask("nvmlDeviceGetCurrentClocksThrottleReasons") or 0
        found = {ours for name, ours in HOLDING_BACK.items() if reasons & getattr(pynvml, f"nvmlClocksThrottleReason{name}")}
        return tuple(sorted(found))

    def _others_load(self) -> float | None:
        since, self._asked_at = self._asked_at, time.time()
        rows = self._ask("nvmlDeviceGetProcessUtilization", int(since * 1e6))  # none within a second or so: not found
        if rows is None:
            return None
        used: dict[int, list[int]] = {}
        for row in rows:
            used.setdefault(row.pid, []).append(row.smUtil)
        return sum(foreign([(pid, sum(each) / len(each)) for pid, each in used.items()], os.getpid())) / 100

    def _ask(self, name: str, *arguments: Any) -> Any:  # noqa: ANN401
        """Returns NVML's answer, or None where board, driver or rights have none."""
        import pynvml

        try:
            return getattr(pynvml, name)(self._handle, *arguments)
        except pynvml.NVMLError:
            return None


def foreign(rows: Sequence[tuple[int, float]], own: int) -> list[float]:
    """Returns the amounts of processes other than ours; in a container, which cannot find itself, without the largest.

    Arguments:
        rows: Process and amount.
        own: This process.
    """
    if any(pid == own for pid, _ in rows):
        return [amount for pid, amount in rows if pid != own]
    return sorted(amount for _, amount in rows)[:-1]


@cache
def gpu_of(device: str) -> Gpu | None:
    """Returns the GPU behind a device of torch, as ``"cuda:0"``; None where there is none or NVML does not answer."""
    where = torch.device(device)
    if where.type != "cuda" or not torch.cuda.is_available():
        return None
    import pynvml

    uuid = torch.cuda.get_device_properties(where).uuid
    for kind in ("GPU", "MIG"):
        try:
            pynvml.nvmlInit()
            return Gpu(pynvml.nvmlDeviceGetHandleByUUID(f"{kind}-{uuid}"))
        except pynvml.NVMLError:
            continue
    return None
