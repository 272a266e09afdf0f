"""Figures: what the pictures' values of a metric add up to, each with its 95 % interval.

Named by metric and statistic:

    lpips          mean
    lpips_median   median
    lpips_p90      what nine pictures in ten keep: the 90th percentile, or the 10th of a metric whose higher values are better
    lpips_flips    share of pictures beyond the metric's threshold: another composition; ``flips`` is short for it

A metric is one file and one line of ``PAIRED``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Self

from frdiff_tune.errors import MeasureError
from frdiff_tune.measure.interval import Interval, bootstrap, share
from frdiff_tune.measure.metrics import PAIRED
from frdiff_tune.measure.metrics._base import Better

Statistic = Literal["mean", "median", "p90", "flips"]
STATISTICS: tuple[Statistic, ...] = ("mean", "median", "p90", "flips")
FLIPS = "flips"
"""The short name of LPIPS's share of flips."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure by name.

    Arguments:
        metric: One of ``PAIRED``.
        statistic: What of the pictures' values.
    """

    metric: str
    statistic: Statistic

    @classmethod
    def parse(cls, text: str) -> Self:
        """Returns the figure that a name such as ``lpips_p90`` states.

        Raises:
            MeasureError: If there is no such figure.
        """
        for metric in PAIRED:
            for statistic in STATISTICS:
                if text == str(cls(metric, statistic)):
                    return cls(metric, statistic)
        raise MeasureError(f"`figure` must be one of {', '.join(figure_names())} but got {text!r}. Correct its spelling.")

    def __str__(self) -> str:
        if (self.metric, self.statistic) == ("lpips", "flips"):
            return FLIPS
        return self.metric if self.statistic == "mean" else f"{self.metric}_{self.statistic}"

    @property
    def better(self) -> Better:
        """Which values are better; fewer flips always are."""
        return "lower" if self.statistic == "flips" else PAIRED[self.metric].better

    @property
    def unit(self) -> str:
        """Unit of the value; ``1`` for a pure number."""
        return "1" if self.statistic == "flips" else PAIRED[self.metric].unit

    def of(self, values: Sequence[float]) -> Interval:
        """Returns the figure of a metric's values, one per picture, with its interval.

        Raises:
            MeasureError: If there is no value or one is not finite.
        """
        sign = 1.0 if PAIRED[self.metric].better == "lower" else -1.0
        if self.statistic == "flips":
            return share(sum(sign * value > sign * PAIRED[self.metric].flip for value in values), len(values))
        found = bootstrap([sign * value for value in values], self.statistic)
        return found if sign > 0 else Interval(-found.value, -found.high, -found.low)


def figure_names() -> tuple[str, ...]:
    """Returns the names of all figures."""
    return tuple(str(Figure(metric, statistic)) for metric in PAIRED for statistic in STATISTICS)


def figures(values: Mapping[str, Sequence[float]]) -> dict[str, Interval]:
    """Returns every figure of some metrics: name -> figure.

    Arguments:
        values: Metric -> one value per picture.
    """
    rows = [Figure(metric, statistic) for metric in values for statistic in STATISTICS]
    return {str(row): row.of(values[row.metric]) for row in rows}
