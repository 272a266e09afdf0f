"""What a policy costs, as figures that a study may bound: time, speed-up, stored bytes."""

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
    "cache_mib": CostFigure("MiB", "lower"),
}


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


def of_measured(measured: Measured) -> dict[str, Interval]:
    """Returns the figures of cost that a policy file states."""
    time = measured.latency
    return {
        "latency_ms": Interval(time.median_ms, time.low_ms, time.high_ms),
        "speedup": Interval(measured.speedup, measured.speedup_low, measured.speedup_high),
        "cache_mib": cache_mib(measured.cache_bytes),
    }


def cache_mib(stored: int) -> Interval:
    """Returns stored bytes in MiB; they are counted, so the interval has no width."""
    return Interval(stored / MIB, stored / MIB, stored / MIB)
