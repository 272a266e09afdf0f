"""Aims: what a guided search makes of a study's objectives and limits.

Distances are losses in decades, so that one model serves all figures of quality: log10 of the figure, of 1 minus it where 1 is
equality (SSIM), and minus a tenth of a PSNR, which is log10 of a squared error.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import log10
from typing import Any, Self

from frdiff_tune.measure import Figure
from frdiff_tune.search.cost_figure import COSTS, TIMES
from frdiff_tune.search.limit import Limit
from frdiff_tune.search.volume import CORNER, FLOOR


def loss(name: str, value: float, least: float = FLOOR) -> float:
    """Returns a figure's distance from equality, in decades.

    Arguments:
        name: A figure of quality.
        value: Its value.
        least: A smaller distance counts as this one; decibels all count.
    """
    figure = _figure(name)
    if figure.better == "lower":
        return log10(max(value, least))
    return -value / 10 if figure.unit == "dB" else log10(max(1 - value, least))


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
    """

    quality: str
    fast: bool
    close: bool
    worst_loss: float | None
    limits: tuple[Limit, ...]
    batch: int = 1

    @classmethod
    def of(cls, objectives: Sequence[str], limits: Sequence[Limit], batch: int = 1) -> Self | None:
        """Returns the aim of a study, or None where foresight does not know what it wants: memory, energy, two qualities."""
        qualities = [name for name in objectives if name not in COSTS]
        fast, other = [name in TIMES for name in objectives], [n for n in objectives if n in COSTS and n not in TIMES]
        bounded = [limit for limit in limits if limit.name not in COSTS]
        if other or len(qualities) > 1 or (not qualities and not bounded):
            return None
        name = qualities[0] if qualities else bounded[0].name
        bounds = [loss(name, limit.bound) for limit in bounded if limit.name == name]
        usual = [log10(CORNER[0])] if Figure.parse(name).metric == "lpips" and "flips" not in name else []
        return cls(name, any(fast), bool(qualities), min(bounds or usual, default=None), tuple(limits), batch)

    @property
    def floor(self) -> float:
        """The loss below which nothing is closer."""
        return log10(FLOOR) if Figure.parse(self.quality).unit != "dB" else float("-inf")

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
