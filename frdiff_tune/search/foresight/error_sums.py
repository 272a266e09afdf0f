"""Errors of steps added up over a run: by segment, by third, in all."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

LEAST = 1e-3
"""Errors below this, in standard deviations of a sample's entries, cannot be told from none."""


@dataclass(frozen=True, slots=True, eq=False)
class Walk:
    """The run of one solver with one step count.

    Arguments:
        times: Its timesteps, length T.
        gram: E z[s] z[t], with shape (T, T).
        scores: Vectors whose products are these, with shape (T, rank).
        c: By how much an error of a score moves the sample, for each weight of early steps, with shape (3, T).
    """

    times: tuple[float, ...]
    gram: Array
    scores: Array
    c: Array


def segment_errors(residuals: Array, first: Sequence[int], walk: Walk) -> Array:
    """Returns the error for each weight of early steps and each third of the run, with shape (3, 3).

    Arguments:
        residuals: r, with shape (T, rank).
        first: Where segments begin, 0 first.
        walk: The run's scores and weights.
    """
    begins = np.array(first)
    moved = np.add.reduceat(walk.c[:, :, None] * residuals, begins, axis=1)
    third = np.arange(3) == (3 * begins // len(residuals))[:, None]
    found: Array = np.sqrt((moved**2).sum(axis=2) @ third)
    return found


def total_error(errors: Array) -> Array:
    """Returns log10 of the error of all thirds, for each weight of early steps, with shape (3,)."""
    found: Array = decades(np.sqrt((errors**2).sum(axis=1)))
    return found


def decades(error: Any) -> Any:  # noqa: ANN401
    """Returns log10 of errors, not below that of the least that can be told from none."""
    return np.log10(np.hypot(error, LEAST))
