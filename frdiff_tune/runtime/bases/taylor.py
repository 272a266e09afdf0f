"""Taylor expansion around the newest computing step, with finite differences for derivatives."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import factorial

from frdiff_tune.runtime.bases._base import Polynomial, derivatives


@dataclass(frozen=True, slots=True)
class Taylor(Polynomial):
    """TaylorSeer.

    F[t] = sum_i F^(i)[s] * (t - s)^i / i!, with s the newest computing step and F^(i) its finite differences.

    Arguments:
        order: The highest derivative, from 0 (hold) to 4.

    References:
        | From Reusing to Forecasting: Accelerating Diffusion Models with TaylorSeers (Liu et al., 2025)
        | https://arxiv.org/abs/2503.06923
    """

    def weights(self, steps: Sequence[int], t: int, T: int) -> tuple[float, ...]:
        """Returns sum_i (t - s)^i / i! * (weights of the i-th derivative)."""
        x, total = t - steps[0], [0.0] * len(steps)
        for i, row in enumerate(derivatives(steps, self.order)):
            total = [sofar + x**i / factorial(i) * part for sofar, part in zip(total, row, strict=True)]
        return tuple(total)
