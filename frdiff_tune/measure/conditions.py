"""What goes on beside timed runs: heat and throttling of a GPU, other processes on it and on the CPU.

A pair of runs beside which something else went on is taken again, a bounded number of times; then it is kept and counted.
Which pairs are taken again follows from the conditions alone, never from the times.
"""

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import torch

from frdiff_tune.measure.nvml import GpuReading, gpu_of
from frdiff_tune.policy import Conditions

MOST_REPEATS = 8  # of one measurement: a load that stays is not waited out
REPEATS = 2  # of one pair
CPU_LOAD = {"cpu": 0.05}  # share of our cores that others may take, where the networks run on the CPU
HOST_LOAD = 0.5  # where they run on another device, which the CPU only feeds
TICKS_S = 0.05  # the system counts CPU time in steps of 10 ms: up to five of them may be our own
GPU_LOAD = 0.05  # share of the GPU's multiprocessors that others may take
DISTURBING = ("hot", "slowdown", "power_brake")  # a power cap is the board's own pace, which a user gets too


class Reading(NamedTuple):
    """The machine at one moment; None where it does not tell.

    Arguments:
        wall_s: A monotonic clock, in s.
        busy_s: CPU time that all processes have had on the cores that this one may use, in s.
        own_s: CPU time that this process has had, in s.
        gpu: The GPU.
    """

    wall_s: float
    busy_s: float | None
    own_s: float
    gpu: GpuReading | None


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen beside runs.

    Arguments:
        others_cores: Cores that other processes kept busy, on average; None if unknown.
        disturbances: What may have changed their time: ``cpu_load``, ``gpu_load``, ``hot``, ``slowdown``, ``power_brake``.
        gpu: The GPU after each run.
    """

    others_cores: float | None
    disturbances: tuple[str, ...]
    gpu: tuple[GpuReading, ...] = ()


class Watch:
    """Reads a machine's conditions.

    Arguments:
        device: Where the networks run.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._gpu = gpu_of(str(device))

    def read(self) -> Reading:
        """Returns the machine as it is now."""
        gpu = None if self._gpu is None else self._gpu.read()
        return Reading(time.perf_counter(), cpu_seconds(own_cores()), time.process_time(), gpu)

    def seen(self, readings: Sequence[Reading]) -> Seen:
        """Returns what was seen from the first to the last of readings."""
        return seen(readings, self.device.type, len(own_cores()))


def seen(readings: Sequence[Reading], device: str, cores: int) -> Seen:
    """Returns what readings tell of the time between them.

    Arguments:
        readings: Before runs, between and after them.
        device: Type of the device that the networks run on.
        cores: How many this process may use.
    """
    first, last = readings[0], readings[-1]
    found = [name for before, after in pairwise(readings) for name in _gpu_disturbances(before.gpu, after.gpu)]
    others, elapsed = None, max(last.wall_s - first.wall_s, 1e-9)
    if first.busy_s is not None and last.busy_s is not None:
        theirs = max(last.busy_s - first.busy_s - (last.own_s - first.own_s), 0.0)
        others = theirs / elapsed
        if theirs > max(TICKS_S, CPU_LOAD.get(device, HOST_LOAD) * cores * elapsed):
            found.append("cpu_load")
    gpus = tuple(reading.gpu for reading in readings[1:] if reading.gpu is not None)
    return Seen(others, tuple(sorted(set(found))), gpus)


def energy_j(before: Reading, after: Reading) -> float | None:
    """Returns what the GPU used between two readings, in J; None where it does not tell."""
    if before.gpu is None or after.gpu is None or before.gpu.energy_j is None or after.gpu.energy_j is None:
        return None
    return after.gpu.energy_j - before.gpu.energy_j


def _gpu_disturbances(before: GpuReading | None, after: GpuReading | None) -> Iterator[str]:
    if before is None or after is None:
        return
    yield from (reason for reading in (before, after) for reason in reading.throttling if reason in DISTURBING)
    if before.hot_s is not None and after.hot_s is not None and after.hot_s > before.hot_s:
        yield "hot"
    if (after.others_load or 0.0) > GPU_LOAD:
        yield "gpu_load"


def own_cores() -> tuple[int, ...]:
    """Returns the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(range(os.cpu_count() or 1))


def cpu_seconds(cores: Sequence[int]) -> float | None:
    """Returns the CPU time that all processes have had on cores since the system started, in s; None where it is not told."""
    try:
        rows = {row[0]: row[1:] for line in Path("/proc/stat").read_text().splitlines() if (row := line.split())}
        user, nice, system, irq, softirq, steal = 0, 1, 2, 5, 6, 7  # without idle, waiting, and guests, who are in user
        ticks = sum(int(rows[f"cpu{core}"][i]) for core in cores for i in (user, nice, system, irq, softirq, steal))
        return ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, KeyError, IndexError, ValueError):
        return None


def load_average() -> float | None:
    """Returns how many processes wanted to run in the last minute, on average, ours among them; None where it is not told."""
    try:
        return os.getloadavg()[0]
    except (OSError, AttributeError):
        return None


def summed_up(kept: Sequence[Seen], repeated: int, settled: bool) -> Conditions:
    """Returns the conditions of a measurement as its file states them.

    Arguments:
        kept: What was seen beside each pair that counts, at least one.
        repeated: Pairs that were taken again.
        settled: Whether the runs before agreed.
    """
    gpus = [gpu for each in kept for gpu in each.gpu]
    others = [each.others_cores for each in kept if each.others_cores is not None]
    clocks = [float(gpu.clock_mhz) for gpu in gpus if gpu.clock_mhz is not None]
    return Conditions(
        settled=settled,
        repeated=repeated,
        disturbed=sum(bool(each.disturbances) for each in kept),
        disturbances=tuple(sorted({name for each in kept for name in each.disturbances})),
        cpu_others_cores=sum(others) / len(others) if others else None,
        cpu_load_average=load_average(),
        gpu_clock_mhz=(min(clocks), max(clocks)) if clocks else None,
        gpu_memory_clock_mhz=gpus[-1].memory_clock_mhz if gpus else None,
        gpu_temperature_c=_most(gpu.temperature_c for gpu in gpus),
        gpu_power_w=_most(gpu.power_w for gpu in gpus),
        gpu_throttling=tuple(sorted({reason for gpu in gpus for reason in gpu.throttling})),
        gpu_others_load=_most(gpu.others_load for gpu in gpus),
        gpu_others_bytes=max((gpu.others_bytes for gpu in gpus if gpu.others_bytes is not None), default=None),
    )


def _most(values: Iterable[float | None]) -> float | None:
    return max((float(value) for value in values if value is not None), default=None)
