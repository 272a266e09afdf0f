"""Mutation for evolutionary samplers: to a neighbour, not to anywhere."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.samplers.nsgaii import BaseMutation

from frdiff_tune.search.samplers._base import quiet

WIDTH = 0.12
"""Standard deviation of a move, as a fraction of the range: on gaps of 1 to 50 (log scale) from 2 to 3 or 1."""


class NeighbourMutation(BaseMutation):
    """Adds a normal step of width ``WIDTH`` times the range, reflected at the bounds.

    Optuna's default draws a new value from the whole range, which tears a keyframe set apart.
    """

    def mutation(self, param: float, rng: np.random.RandomState, study: Any, search_space_bounds: NDArray[Any]) -> float:  # noqa: ANN401
        """Returns the value moved, in the sampler's own scale.

        Arguments:
            param: The value.
            rng: Where randomness comes from.
            study: Optuna's study; not used.
            search_space_bounds: Least and greatest value, with shape (2,).
        """
        low, high = search_space_bounds
        moved = param + rng.normal() * WIDTH * (high - low)
        if moved < low:
            moved = 2 * low - moved
        if moved > high:
            moved = 2 * high - moved
        return float(min(max(moved, low), high))


def neighbour_mutation() -> BaseMutation:
    """Returns the mutation."""
    with quiet():
        return NeighbourMutation()
