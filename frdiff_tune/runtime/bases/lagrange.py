"""The polynomial through the last computing steps."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from frdiff_tune.runtime.bases._base import Basis, check_order


@dataclass(frozen=True, slots=True)
class Lagrange(Basis):
    """Exact for features that are a polynomial of the step index.

    w[k] = prod_{j != k} (t - s_j) / (s_k - s_j)

    Arguments:
        order: Degree of the polynomial, from 0 (hold) to 4.
    """

    order: int = 1

    def __post_init__(self) -> None:
        check_order(self.order)

    @property
    def nodes(self) -> int:
        """One more than the order."""
        return self.order + 1

    def weights(self, steps: Sequence[int], t: int, T: int) -> tuple[float, ...]:
        """Returns Lagrange's weights."""
        return tuple(prod((t - other) / (step - other) for other in steps if other != step) for step in steps)
