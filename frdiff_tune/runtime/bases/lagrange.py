"""The polynomial through the last computing steps."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from frdiff_tune.runtime.bases._base import Polynomial


@dataclass(frozen=True, slots=True)
class Lagrange(Polynomial):
    """Exact for features that are a polynomial of the step index.

    w[k] = prod_{j != k} (t - s_j) / (s_k - s_j)

    Arguments:
        order: Degree of the polynomial, from 0 (hold) to 4.
    """

    def weights(self, steps: Sequence[int], t: int, T: int) -> tuple[float, ...]:
        """Returns Lagrange's weights."""
        return tuple(prod((t - other) / (step - other) for other in steps if other != step) for step in steps)
