"""Peak memory of a call, by torch's allocator."""

from typing import Self

import torch

from frdiff_tune.measure.counters._base import Counter

MIB = 2**20


class PeakMemory(Counter):
    """The most memory that the allocator has given out at once, in MiB, of all that the process holds on the device.

    Weights, activations and what a policy stores; also the metrics' networks, which are the same for every policy.

    Arguments:
        device: A CUDA device.
    """

    name = "peak_mib"
    cure = 'Name "cache_mib" instead, what a policy stores, or set [model] device = "cuda".'

    def __init__(self, device: torch.device) -> None:
        self._device = device

    @classmethod
    def of(cls, device: torch.device, batch: int) -> Self | None:
        """Returns the device's counter, or None where its allocator has none."""
        return cls(device) if device.type == "cuda" else None

    def start(self) -> None:
        """Forgets earlier peaks."""
        torch.cuda.reset_peak_memory_stats(self._device)

    def stop(self) -> float:
        """Returns the peak since then, in MiB."""
        return torch.cuda.max_memory_allocated(self._device) / MIB
