"""Fronts compared: latency at equal LPIPS, and hypervolume, each with a bootstrap interval over cases."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import log
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.bench import Row
from frdiff_tune.measure.interval import bootstrap
from frdiff_tune.search.volume import hypervolume

RESAMPLES = 1000
TINY = 1e-6  # LPIPS of the full policy is 0; its logarithm is not

SCHEMA_1 = "schema 1"
"""Family of what a search of policies of schema 1 proposed."""

Points = Sequence[tuple[float, float]]  # (LPIPS, latency), fewest steps first


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its 95 % interval; None where a front never gets there."""

    value: float | None
    low: float | None
    high: float | None


def latency_at(points: Points, lpips: float) -> float | None:
    """Returns the least latency at which a line through the points, LPIPS on the log scale, reaches ``lpips``.

    Arguments:
        points: Of one solver, in the order of their step counts.
        lpips: The level.
    """
    if points and points[0][0] <= lpips:
        return points[0][1]
    for (coarse, fast), (fine, slow) in zip(points, points[1:], strict=False):
        if fine <= lpips < coarse:
            share = (log(coarse) - log(lpips)) / (log(coarse) - log(max(fine, TINY)))
            return fast + share * (slow - fast)
    return None


def fastest_at(points: Points, lpips: float) -> float | None:
    """Returns the latency of the fastest point whose LPIPS is at most ``lpips``: no line is drawn between policies."""
    return min((latency for distance, latency in points if distance <= lpips), default=None)


class Resampling:
    """LPIPS of all rows on the same draws of cases.

    Arguments:
        rows: Rows measured on the same cases.
        latency: Latency over the reference's, per row.
        statistic: What of the cases stands for a row: ``np.mean``, which flips carry, or ``np.median``.
    """

    def __init__(self, rows: Sequence[Row], latency: Sequence[float], statistic: Callable[..., Any] = np.mean) -> None:
        table: NDArray[np.float64] = np.array([row.lpips for row in rows])
        self.rows, self.latency = list(rows), list(latency)
        self.means = statistic(table, axis=1)
        draws = np.random.default_rng(0).integers(table.shape[1], size=(RESAMPLES, table.shape[1]))
        self.drawn = np.stack([statistic(table[:, draw], axis=1) for draw in draws])

    def estimate(self, figure: Callable[[NDArray[np.float64]], float | None]) -> Estimate:
        """Returns a figure of the rows' means, with the interval that other cases would have given."""
        value = figure(self.means)
        found = sorted(v for v in (figure(means) for means in self.drawn) if v is not None)
        if value is None or len(found) < 0.9 * RESAMPLES:
            return Estimate(value, None, None)
        low, high = np.quantile(found, [0.025, 0.975])
        return Estimate(value, float(low), float(high))

    def points(self, means: NDArray[np.float64], of: Callable[[Row], bool]) -> list[tuple[float, float]]:
        """Returns (LPIPS, latency) of some rows, fewest steps first."""
        chosen = [i for i, row in enumerate(self.rows) if of(row)]
        chosen.sort(key=lambda i: (self.rows[i].steps, self.latency[i]))
        return [(float(means[i]), self.latency[i]) for i in chosen]

    def fewer_steps_at(self, means: NDArray[np.float64], lpips: float) -> tuple[float, str] | None:
        """Returns the best latency of fewer steps at a level, and whose it is."""
        groups = sorted({row.group for row in self.rows if row.family == "fewer steps"})
        found = [(latency_at(self.points(means, lambda row, g=group: row.group == g), lpips), group) for group in groups]  # type: ignore[misc]
        return min(((latency, group) for latency, group in found if latency is not None), default=None)

    def gain_at(self, lpips: float) -> Estimate:
        """Returns the best latency of fewer steps over that of our fastest policy at a level of LPIPS."""

        def gain(means: NDArray[np.float64]) -> float | None:
            theirs, ours = self.fewer_steps_at(means, lpips), fastest_at(self.points(means, is_ours), lpips)
            return theirs[0] / ours if theirs is not None and ours is not None else None

        return self.estimate(gain)

    def gain_over_schema_1(self, lpips: float) -> Estimate:
        """Returns the latency of the fastest policy of schema 1 over that of ours at a level of LPIPS."""

        def gain(means: NDArray[np.float64]) -> float | None:
            earlier = fastest_at(self.points(means, lambda row: row.family == SCHEMA_1), lpips)
            present = fastest_at(self.points(means, is_ours), lpips)
            return earlier / present if earlier is not None and present is not None else None

        return self.estimate(gain)

    def volume(self, of: Callable[[Row], bool]) -> Estimate:
        """Returns the hypervolume of some rows."""
        return self.estimate(lambda means: hypervolume(self.points(means, of)))

    def volume_gain(self, ours: Callable[[Row], bool], theirs: Callable[[Row], bool]) -> Estimate:
        """Returns the hypervolume of some rows minus that of others."""
        return self.estimate(lambda means: hypervolume(self.points(means, ours)) - hypervolume(self.points(means, theirs)))


def surely_worse(values: Sequence[float], others: Sequence[float]) -> bool:
    """Whether the mean of values is above that of others on the same cases in 97.5 % of bootstrap draws of the cases."""
    return bootstrap(np.array(values) - np.array(others)).low > 0


def is_ours(row: Row) -> bool:
    """Whether a row is no known policy."""
    return row.family in ("found", "starting")


def is_searched(row: Row) -> bool:
    """Whether the sampler proposed it."""
    return row.family == "found"


def is_known(row: Row) -> bool:
    """Whether a row is a policy that people use today."""
    return not is_ours(row) and row.family != SCHEMA_1
