"""How much of the plane of quality and time a front holds."""

from collections.abc import Sequence
from math import log10
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from frdiff_tune.search.limit import Limit

FLOOR = 1e-5
"""LPIPS below this is numerical noise, and log10 of 0 is none; it counts as this much."""
CORNER = (0.05, 1.0)
"""Reference point of the hypervolume where a study names none: LPIPS where pictures flip, and the reference's own latency."""


def reference_point(limits: "Sequence[Limit]" = ()) -> tuple[float, float]:
    """Returns the worst point that counts, as (LPIPS, latency over the reference's).

    Arguments:
        limits: The study's; its bound on LPIPS is that of the point.
    """
    bounds = [limit.bound for limit in limits if limit.name == "lpips" and limit.bound > 0]
    return min(bounds, default=CORNER[0]), CORNER[1]


def min_lpips(floor: float | None, limits: "Sequence[Limit]" = ()) -> float:
    """Returns the LPIPS below which nothing is closer: the study's floor, or numerical noise.

    A floor at or above the study's own limit counts for nothing: that study asks for what is below.

    Arguments:
        floor: LPIPS of the reference against four times its steps; None: not known.
        limits: The study's.
    """
    return FLOOR if floor is None or floor >= reference_point(limits)[0] else max(floor, FLOOR)


def hypervolume(
    points: Sequence[tuple[float, float]], corner: tuple[float, float] = CORNER, floor: float = FLOOR
) -> float:
    """Returns the area that points dominate in (log10 LPIPS, latency over the reference's).

    Arguments:
        points: (LPIPS, latency over the reference's) of each.
        corner: The worst point that counts, in the same units.
        floor: LPIPS below it counts as this much.
    """
    worst = log10(corner[0])
    area, lowest = 0.0, worst
    inside = [(log10(max(lpips, floor)), time) for lpips, time in points if lpips < corner[0] and time < corner[1]]
    for height, time in sorted(inside, key=lambda point: (point[1], point[0])):
        if height < lowest:
            area += (lowest - height) * (corner[1] - time)
            lowest = height
    return area
