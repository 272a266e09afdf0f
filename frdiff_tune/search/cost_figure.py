"""What a policy costs, as figures that a study may aim at or bound: time, memory, energy."""

from dataclasses import dataclass
from typing import Literal

from frdiff_tune.measure import SETS, Figure, Interval, figure_names
from frdiff_tune.policy import Measured
from frdiff_tune.search.toml_file import nearest

MIB = 2**20


@dataclass(frozen=True, slots=True)
class CostFigure:
    """A figure of cost.

    Arguments:
        unit: Its unit.
        better: Which values are better.
    """

    unit: str
    better: Literal["lower", "higher"]


COSTS: dict[str, CostFigure] = {
    "latency_ms": CostFigure("ms", "lower"),
    "speedup": CostFigure("x", "higher"),
    "images_per_s": CostFigure("1/s", "higher"),
    "cache_mib": CostFigure("MiB", "lower"),
    "peak_mib": CostFigure("MiB", "lower"),
    "energy_j": CostFigure("J", "lower"),
}
"""Latency of a call and the speed-up over the reference's, pictures per second at the call's batch; what a run stores, the peak
memory of a call, and energy per picture. The last two are counted where a study names them."""
TIMES = ("latency_ms", "speedup", "images_per_s")
"""Those that are the same in other words."""


def bounded_names() -> tuple[str, ...]:
    """Returns the names of all figures that may be bounded: those of quality, and those of cost."""
    return (*figure_names(), *COSTS)


def check_bounded(name: str) -> None:
    """Checks that a name is one of a figure that a search may aim at or bound.

    Raises:
        ValueError: If it is not; metrics between sets of pictures are not, which a few cases of a trial do not tell apart.
    """
    if name in SETS:
        raise ValueError(
            f"must name a figure that each case has but got {name!r}, which whole sets of pictures have. Search with 'lpips', "
            f"and name {name!r} in `measure.metrics`: the exported policy is measured with it."
        )
    if name not in bounded_names():
        raise ValueError(f"must name a figure of quality or cost but got {name!r}. {nearest(name, bounded_names())}")


def better(name: str) -> Literal["lower", "higher"]:
    """Returns which values of a figure are better."""
    return COSTS[name].better if name in COSTS else Figure.parse(name).better


def of_measured(measured: Measured, batch: int) -> dict[str, Interval]:
    """Returns the figures of cost that a policy file states.

    Arguments:
        measured: What it states.
        batch: Pictures per call.
    """
    latency_ms = Interval(measured.latency.median_ms, measured.latency.low_ms, measured.latency.high_ms)
    found = {
        "latency_ms": latency_ms,
        "speedup": Interval(measured.speedup, measured.speedup_low, measured.speedup_high),
        "images_per_s": images_per_s(latency_ms, batch),
        "cache_mib": mib(measured.cache_bytes),
    }
    if measured.peak_bytes is not None:
        found["peak_mib"] = mib(measured.peak_bytes)
    if measured.energy is not None:
        found["energy_j"] = _exact(measured.energy.per_image_j)
    return found


def images_per_s(latency_ms: Interval, batch: int) -> Interval:
    """Returns pictures per second.

    Arguments:
        latency_ms: Of a call, in milliseconds.
        batch: Pictures per call.
    """
    return Interval(1e3 * batch / latency_ms.value, 1e3 * batch / latency_ms.high, 1e3 * batch / latency_ms.low)


def mib(counted: int) -> Interval:
    """Returns bytes in MiB; they are counted, so the interval has no width."""
    return _exact(counted / MIB)


def _exact(value: float) -> Interval:
    return Interval(value, value, value)
