"""Scaled Hermite polynomials in place of Taylor's monomials."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import factorial, isfinite

from frdiff_tune.errors import PolicyError
from frdiff_tune.runtime.bases._base import Polynomial, derivatives


@dataclass(frozen=True, slots=True)
class Hermite(Polynomial):
    """HiCache.

    F[t] = F[s] + sum_{i >= 1} F^(i)[s] * sigma^i H_i(sigma (t - s)) / i!, with H_i the physicists' Hermite polynomials.

    At sigma^2 = 1/2 its first order is Taylor's; smaller sigmas trust the trend less.

    Arguments:
        order: The highest derivative, from 0 (hold) to 4.
        sigma: Contraction, positive.

    References:
        | HiCache: Training-free Acceleration of Diffusion Models via Hermite Polynomial-based Feature Caching
        | https://arxiv.org/abs/2508.16984
    """

    sigma: float = 0.5

    def __post_init__(self) -> None:
        Polynomial.__post_init__(self)
        if not isfinite(self.sigma) or self.sigma <= 0:
            raise PolicyError(f"`sigma` must be positive but got {self.sigma}. Try 0.5.")

    def weights(self, steps: Sequence[int], t: int, T: int) -> tuple[float, ...]:
        """Returns the newest feature's weight plus those of the derivatives."""
        x, rows = self.sigma * (t - steps[0]), derivatives(steps, self.order)
        total = rows[0]
        before, here = 1.0, 2.0 * x  # H_0 and H_1
        for i, row in enumerate(rows[1:], start=1):
            scale = self.sigma**i * here / factorial(i)
            total = [sofar + scale * part for sofar, part in zip(total, row, strict=True)]
            before, here = here, 2.0 * x * here - 2.0 * i * before
        return tuple(total)
