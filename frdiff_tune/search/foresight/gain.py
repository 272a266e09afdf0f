"""The expected gain in hypervolume of a policy whose latency is foreseen and whose distance to the reference is uncertain.

    gain = integral over l from the policy's latency to the corner's of E max(0, best(l) - max(Y, floor)),
    Y ~ N(mean, deviation^2)

with best(l) the lowest log10 distance that is measured up to latency l, the corner's where there is none, and floor that below
which nothing is closer. best is a staircase, so the integral is a sum over its steps, and each expectation is known in closed
form.

References:
    | Efficient Computation of Expected Hypervolume Improvement Using Box Decomposition Algorithms (Yang et al., 2019)
    | https://doi.org/10.1007/s10898-019-00798-7
    | Efficient Global Optimization of Expensive Black-Box Functions (Jones et al., 1998), equation 15, for the expectation
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

CLOSE = 0.01
"""Relative standard deviation of a foreseen latency, where it must keep a limit."""
Array = NDArray[np.float64]


def expected_gain(
    front: Sequence[tuple[float, float]],
    latency: Array,
    mean: Array,
    deviation: Array,
    corner: tuple[float, float],
    floor: float = -np.inf,
) -> Array:
    """Returns the expected gain of each policy, with shape (n,).

    Arguments:
        front: (log10 distance, latency over the reference's) of what is measured, in any order.
        latency: Of each policy over the reference's, with shape (n,).
        mean: Expected log10 distance, with shape (n,).
        deviation: Its standard deviation, with shape (n,); positive.
        corner: The worst log10 distance and latency that count.
        floor: The log10 distance below which nothing is closer.
    """
    edges, levels = _staircase(front, corner)
    width = np.clip(edges[1:] - np.maximum(edges[:-1], latency[:, None]), 0.0, None)
    found: Array = (width * _closer(levels, mean[:, None], deviation[:, None], floor)).sum(1)
    return found


def _closer(level: Array | float, mean: Array, deviation: Array, floor: float) -> Array:
    """Returns E max(0, level - max(Y, floor)), which is that of the level without a floor, less that of the floor."""
    found = _below(level, mean, deviation)
    return found if floor == -np.inf else np.clip(found - _below(floor, mean, deviation), 0.0, None)


def _below(level: Array | float, mean: Array, deviation: Array) -> Array:
    """Returns E max(0, level - Y)."""
    z = (level - mean) / deviation
    found: Array = deviation * (z * ndtr(z) + np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi))
    return found


def gain_in_time(latency: Array, mean: Array, deviation: Array, corner: tuple[float, float], best: float | None) -> Array:
    """Returns by how much each policy is expected to be faster than the best that is close enough, with shape (n,).

    Arguments:
        latency: Of each policy over the reference's, with shape (n,).
        mean: Expected log10 distance, with shape (n,).
        deviation: Its standard deviation, with shape (n,).
        corner: The worst log10 distance and latency that count.
        best: Latency of the best; None: as slow as counts.
    """
    faster = np.clip((corner[1] if best is None else best) - latency, 0.0, None)
    found: Array = faster * ndtr((corner[0] - mean) / deviation)
    return found


def gain_in_loss(
    latency: Array, mean: Array, deviation: Array, corner: tuple[float, float], best: float | None, floor: float = -np.inf
) -> Array:
    """Returns by how much each policy is expected to be closer than the best that is fast enough, with shape (n,).

    Arguments:
        latency: Of each policy over the reference's, with shape (n,).
        mean: Expected log10 distance, with shape (n,).
        deviation: Its standard deviation, with shape (n,).
        corner: The worst log10 distance and latency that count.
        best: log10 distance of the best; None: as far as counts.
        floor: The log10 distance below which nothing is closer.
    """
    better = _closer(corner[0] if best is None else best, mean, deviation, floor)
    found: Array = better * ndtr((corner[1] - latency) / (CLOSE * corner[1]))
    return found


def _staircase(front: Sequence[tuple[float, float]], corner: tuple[float, float]) -> tuple[Array, Array]:
    """Returns latencies at which the best distance changes, and the best between each two of them."""
    edges, levels = [0.0], [corner[0]]
    for loss, latency in sorted(front, key=lambda point: (point[1], point[0])):
        if loss < levels[-1] and latency < corner[1]:
            edges.append(latency)
            levels.append(loss)
    return np.array([*edges, corner[1]]), np.array(levels)
