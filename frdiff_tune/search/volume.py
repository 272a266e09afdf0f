"""How much of the plane of quality and time a front holds."""

from collections.abc import Sequence
from math import log10

FLOOR = 1e-5
"""LPIPS below this is numerical noise, and log10 of 0 is none; it counts as this much."""
CORNER = (0.05, 1.0)
"""Reference point of the hypervolume: LPIPS where pictures flip, and the reference's own latency."""


def hypervolume(points: Sequence[tuple[float, float]], corner: tuple[float, float] = CORNER) -> float:
    """Returns the area that points dominate in (log10 LPIPS, latency over the reference's).

    Arguments:
        points: (LPIPS, latency over the reference's) of each; LPIPS below ``FLOOR`` counts as that.
        corner: The worst point that counts, in the same units.
    """
    worst = log10(corner[0])
    area, lowest = 0.0, worst
    inside = [(log10(max(lpips, FLOOR)), time) for lpips, time in points if lpips < corner[0] and time < corner[1]]
    for height, time in sorted(inside, key=lambda point: (point[1], point[0])):
        if height < lowest:
            area += (lowest - height) * (corner[1] - time)
            lowest = height
    return area
