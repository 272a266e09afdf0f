"""Aims: what a guided search makes of a study's objectives and limits.

Distances are losses in decades, so that one model serves all figures of quality: log10 of the distance from equality on LPIPS's
scale (``Paired.distance``), and of half the share of pictures that flip. Below a share of one picture in a hundred, which no
study can tell from none, there are no closer flips.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from math import log10
from sys import float_info
from typing import Any, Self

from frdiff_tune.measure import PAIRED, Figure
from frdiff_tune.search.cost_figure import COSTS, TIMES
from frdiff_tune.search.limit import Limit
from frdiff_tune.search.volume import CORNER, FLOOR

FEWEST_FLIPS = 0.01
"""A share of flips below this counts as this much."""


def loss(name: str, value: float, least: float = FLOOR) -> float:
    """Returns a figure's distance from equality, in decades.

    Arguments:
        name: A figure of quality.
        value: Its value.
        least: A smaller distance counts as this one; decibels all count.
    """
    figure = _figure(name)
    if figure.statistic == "flips":
        return log10(max(value / 2, FEWEST_FLIPS / 2))
    return log10(max(PAIRED[figure.metric].distance(value), least if figure.unit != "dB" else float_info.min))


@cache
def _figure(name: str) -> Figure:
    return Figure.parse(name)


@dataclass(frozen=True, slots=True)
class Aim:
    """Time against one figure of quality, or one of the two within a limit of the other.

    Arguments:
        quality: Name of the figure of quality.
        fast: Whether time is an objective.
        close: Whether quality is one.
        worst_loss: The greatest loss that counts; None: as measured.
        limits: The study's limits.
        batch: Pictures per call.
        min_lpips: Mean LPIPS below which nothing is closer.
        surely: Whether the upper end of a figure's interval decides instead of its value.
    """

    quality: str
    fast: bool
    close: bool
    worst_loss: float | None
    limits: tuple[Limit, ...]
    batch: int = 1
    min_lpips: float = FLOOR
    surely: bool = False

    @classmethod
    def of(
        cls, objectives: Sequence[str], limits: Sequence[Limit], batch: int = 1, min_lpips: float = FLOOR
    ) -> Self | None:
        """Returns the aim of a study, or None where foresight does not know what it wants: memory, energy, two qualities."""
        qualities = [name for name in objectives if name not in COSTS]
        fast, other = [name in TIMES for name in objectives], [n for n in objectives if n in COSTS and n not in TIMES]
        bounded = [limit for limit in limits if limit.name not in COSTS]
        if other or len(qualities) > 1 or (not qualities and not bounded):
            return None
        name = qualities[0] if qualities else bounded[0].name
        bounds = [loss(name, limit.bound) for limit in bounded if limit.name == name]
        usual = [log10(CORNER[0])] if Figure.parse(name).metric == "lpips" and "flips" not in name else []
        return cls(name, any(fast), bool(qualities), min(bounds or usual, default=None), tuple(limits), batch, min_lpips)

    def within_floor(self) -> Self | None:
        """Returns the aim of an export without a limit, the fastest that is surely within the floor; None without a floor."""
        if not (self.fast and self.close and self.quality == "lpips" and self.min_lpips > FLOOR):
            return None
        return replace(self, close=False, worst_loss=log10(self.min_lpips), surely=True)

    @property
    def floor(self) -> float:
        """The loss below which nothing is closer."""
        if self.quality == "lpips":
            return log10(self.min_lpips)
        figure = Figure.parse(self.quality)
        if figure.statistic == "flips":
            return loss(self.quality, 0.0)
        return log10(FLOOR) if figure.unit != "dB" else float("-inf")

    def loss(self, figures: Mapping[str, Any]) -> float:
        """Returns the loss of a trial's figures, by name."""
        return loss(self.quality, figures[self.quality])

    def slowest(self, reference_ms: float) -> float:
        """Returns the greatest latency that counts, over the reference's.

        Arguments:
            reference_ms: The reference's latency, in milliseconds.
        """
        bounds = {
            "latency_ms": lambda bound: bound / reference_ms,
            "speedup": lambda bound: 1 / bound,
            "images_per_s": lambda bound: 1e3 * self.batch / (bound * reference_ms),
        }
        slowest = [bounds[limit.name](limit.bound) for limit in self.limits if limit.name in bounds and limit.bound > 0]
        return min(slowest, default=CORNER[1])
