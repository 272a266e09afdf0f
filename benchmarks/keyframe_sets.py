"""Keyframe sets that fit a network cost: spread evenly, or dense early, with and without a dense end."""

from itertools import pairwise
from math import floor

from frdiff_tune.search.starting import ramp

RAMPS = {
    "ramp 1.6": (1.6, ()),
    "ramp 1.6, dense end": (1.6, (2, 1, 1)),
    "ramp 4": (4.0, ()),
    "ramp 4, dense end": (4.0, (3, 2, 2, 1)),
}
"""Shape -> growth of the gaps, last gaps; those of ``search.starting.DENSE_ENDS``."""
EXACT = 1e-9
"""What rounding may add to a cost that fits exactly."""


def most_keyframes(T: int, reuse: float, cost: float) -> int:
    """Returns the greatest n with n + (T - n) * reuse <= cost * T; 0 where none fits.

    Arguments:
        T: Steps of the run.
        reuse: What a step that is no keyframe costs, as a share of a full step.
        cost: Network cost, as a share of the reference's, below 1.
    """
    return floor((cost - reuse) * T / (1 - reuse) + EXACT) if reuse < cost else 0


def even(T: int, n: int) -> tuple[int, ...]:
    """Returns n keyframes of T steps that are spread evenly: rounded multiples of T / n."""
    return tuple(round(i * T / n) for i in range(n))


def keyframe_sets(T: int, n: int) -> dict[str, tuple[int, ...]]:
    """Returns the sets of n keyframes that every kind is tried with, by shape.

    A set with a gap of more than half of the run is left out: the ramp has too few keyframes to get through it.

    Arguments:
        T: Steps of the run.
        n: Keyframes, at least two; with fewer there is no set.
    """
    if n < 2:
        return {}
    found = {"even": even(T, n)}
    found |= {shape: ramp(T, n, *rule) for shape, rule in RAMPS.items() if n > len(rule[1]) + 2}
    return {shape: keyframes for shape, keyframes in found.items() if 2 * _widest(keyframes, T) <= T}


def _widest(keyframes: tuple[int, ...], T: int) -> int:
    return max(b - a for a, b in pairwise((*keyframes, T)))
