"""Counters: what a device counts of a call beside its time, name of the figure -> class."""

from collections.abc import Sequence

import torch

from frdiff_tune.errors import MeasureError
from frdiff_tune.measure.counters._base import Counter
from frdiff_tune.measure.counters.energy import Energy
from frdiff_tune.measure.counters.peak_memory import PeakMemory

COUNTERS: dict[str, type[Counter]] = {"peak_mib": PeakMemory, "energy_j": Energy}

__all__ = ["COUNTERS", "Counter", "counters"]


def counters(names: Sequence[str], device: torch.device, batch: int) -> tuple[Counter, ...]:
    """Returns counters of a device, in the order of their names.

    Arguments:
        names: Of ``COUNTERS``.
        device: Where the networks run.
        batch: Pictures per call.

    Raises:
        MeasureError: If the device does not count one of them.
    """
    return tuple(_counter(COUNTERS[name], device, batch) for name in names)


def _counter(kind: type[Counter], device: torch.device, batch: int) -> Counter:
    found = kind.of(device, batch)
    if found is None:
        raise MeasureError(
            f"`objectives` and `limits` must name figures that the device counts but got {kind.name!r}, which {device} does "
            f"not. {kind.cure}"
        )
    return found
