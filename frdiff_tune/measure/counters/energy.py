"""Energy per picture, by the GPU's own counter."""

from collections.abc import Callable
from math import nan
from typing import Self

import torch

from frdiff_tune.measure.counters._base import Counter
from frdiff_tune.measure.nvml import gpu_of


class Energy(Counter):
    """What the GPU uses per picture, in J, idle power included.

    Boards renew their counter in steps of time, some only every 100 ms: of shorter calls the mean over many is right, each
    alone is not.

    Arguments:
        read: Returns what it has used so far, in J; None where it does not tell.
        batch: Pictures per call.
    """

    name = "energy_j"
    cure = 'Name "latency_ms" instead, or run on an NVIDIA GPU that tells its energy through NVML.'

    def __init__(self, read: Callable[[], float | None], batch: int) -> None:
        self._read, self._batch = read, batch
        self._before = nan

    @classmethod
    def of(cls, device: torch.device, batch: int) -> Self | None:
        """Returns the device's counter, or None where NVML has none."""
        gpu = gpu_of(str(device))
        return None if gpu is None or gpu.energy_j() is None else cls(gpu.energy_j, batch)

    def start(self) -> None:
        """Notes what was used before."""
        self._before = self._told()

    def stop(self) -> float:
        """Returns what was used since then, in J per picture; NaN if the GPU did not tell this time."""
        return (self._told() - self._before) / self._batch

    def _told(self) -> float:
        told = self._read()
        return nan if told is None else told
