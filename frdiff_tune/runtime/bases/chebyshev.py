"""Chebyshev polynomials fitted to the last computing steps by ridge regression."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

from frdiff_tune.errors import PolicyError
from frdiff_tune.runtime.bases._base import Basis, check_order


@dataclass(frozen=True, slots=True)
class Chebyshev(Basis):
    """Spectrum.

    w = phi(t)^T (Phi^T Phi + ridge D)^-1 Phi^T, with phi(t) = T_0..T_order at 2 t / (T - 1) - 1, Phi its rows at the
    computing steps, and D the identity without T_0: what never changes is not shrunk.

    Arguments:
        order: Degree, from 0 to 4.
        window: Computing steps that are fitted, more than the order.
        ridge: Weight of the coefficients' squares, from 0 on.

    References:
        | Spectrum (2026)
        | https://arxiv.org/abs/2603.01623
    """

    order: int = 2
    window: int = 4
    ridge: float = 0.01

    def __post_init__(self) -> None:
        check_order(self.order)
        if not isinstance(self.window, int) or not 1 <= self.window <= 16:
            raise PolicyError(f"`window` must lie in [1, 16] but got {self.window}. So many times features are kept.")
        if not isfinite(self.ridge) or self.ridge < 0 or (self.ridge == 0 and self.window <= self.order):
            raise PolicyError(f"`ridge` must be at least 0, and above where `window` <= `order`, but got {self.ridge}.")

    @property
    def nodes(self) -> int:
        """The window."""
        return self.window

    def weights(self, steps: Sequence[int], t: int, T: int) -> tuple[float, ...]:
        """Returns the weights of the ridge regression."""
        import torch

        degree = min(self.order, len(steps) - 1) if self.ridge == 0 else self.order
        rows = torch.tensor([self._row(step, degree, T) for step in steps], dtype=torch.float64)
        penalty = torch.diag(torch.tensor([0.0] + [self.ridge] * degree, dtype=torch.float64))
        gram = rows.T @ rows + penalty
        at = torch.tensor(self._row(t, degree, T), dtype=torch.float64)
        found: list[float] = (torch.linalg.solve(gram, at) @ rows.T).tolist()
        return tuple(found)

    def _row(self, step: int, degree: int, T: int) -> list[float]:
        """Returns T_0..T_degree at a step."""
        x = 2.0 * step / max(T - 1, 1) - 1.0
        values = [1.0, x]
        while len(values) <= degree:
            values.append(2.0 * x * values[-1] - values[-2])
        return values[: degree + 1]
