"""A model of how far pictures are from the reference, from errors that are foreseen and from trials that are measured.

Errors of several kinds add up, and a distance d between pictures grows with the power of an error until it saturates:

    d = s / (1 + s / most),    s = least + sum_j 10^(a[j] + p[j] source[j])

a and p have priors, so that the model says something before anything is measured; they are fitted to the trials by least
squares. What is left over is a Gaussian process over the policies' traits, whose width, height and noise have the largest
likelihood on a grid. All is in decades: log10 of d.

References:
    | Gaussian Processes for Machine Learning (Rasmussen and Williams, 2006), algorithm 2.1 and section 2.7
"""

from collections.abc import Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from scipy.optimize import least_squares

from frdiff_tune.search.foresight.errors_foreseen import Foreseen

Array = NDArray[np.float64]

PRIORS = {"jump": (0.1, 2.0), "group": (-0.4, 2.0), "steps": (-2.5, 1.0), "solver": (-3.3, 3.0)}
"""Kind of error -> a and p, as they are on both embedded models, roughly; distances are LPIPS."""
LOOSE = (0.7, 0.4)
"""Standard deviations of a and p."""
MOST, LEAST = 0.5, 1e-5
"""LPIPS of pictures that have nothing to do with each other, and numerical noise."""
SPREAD = 0.3
"""Standard deviation of what the sum of errors leaves over, in decades."""
WIDTHS, HEIGHTS, NOISES = (0.7, 1.4, 2.8), (0.15, 0.3, 0.6), (0.05, 0.12, 0.25)


class QualityModel:
    """Foresees log10 of the distance to the reference.

    Arguments:
        names: Of the sources, as ``ErrorSources.names`` has them.
        measured: Errors of the policies that are measured.
        losses: log10 of the distance of each.
    """

    def __init__(self, names: Sequence[str], measured: Sequence[Foreseen], losses: Sequence[float]) -> None:
        kinds = [PRIORS[name.split()[0]] for name in names]
        self.prior = np.array(kinds).T.ravel()  # all a, then all p
        self.loose = np.repeat(LOOSE, len(names))
        self.theta = self.prior
        self._known, self._weights, self._factor = np.zeros((0, 0)), np.zeros(0), None
        self.width, self.height = WIDTHS[1], HEIGHTS[1]
        if measured:
            y = np.array(losses)
            sources = np.array([each.sources for each in measured])
            self.theta = self._fitted(sources, y)
            self._fit_rest(np.array([each.traits for each in measured]), y - self._sum(self.theta, sources))

    def __call__(self, policies: Sequence[Foreseen]) -> tuple[Array, Array]:
        """Returns the expected log10 of the distance, and its standard deviation, both with shape (n,)."""
        mean = self._sum(self.theta, np.array([each.sources for each in policies]))
        if self._factor is None:
            return mean, np.full(len(mean), np.hypot(SPREAD, LOOSE[0]))
        across = self._kernel(np.array([each.traits for each in policies]), self._known, self.width, self.height)
        inside = solve_triangular(self._factor[0], across.T, lower=True)
        rest = np.maximum(self.height**2 - (inside**2).sum(0), 1e-4)
        return mean + across @ self._weights, np.sqrt(rest)

    def _sum(self, theta: Array, sources: Array) -> Array:
        return self._parts(theta, sources)[0]

    def _parts(self, theta: Array, sources: Array) -> tuple[Array, Array]:
        """Returns log10 of the distance, with shape (n,), and its derivative by a, with shape (n, sources)."""
        a, p = np.split(theta, 2)
        there = np.isfinite(sources)
        parts = np.where(there, 10 ** np.minimum(a + p * np.where(there, sources, 0.0), 3.0), 0.0)
        whole = LEAST + parts.sum(1)
        return np.log10(whole / (1 + whole / MOST)), parts * (1 / whole - 1 / (whole + MOST))[:, None]

    def _fitted(self, sources: Array, y: Array) -> Array:
        known = np.where(np.isfinite(sources), sources, 0.0)

        def residuals(theta: Array) -> Array:
            return np.concatenate([(self._sum(theta, sources) - y) / SPREAD, (theta - self.prior) / self.loose])

        def slopes(theta: Array) -> Array:
            by_a = self._parts(theta, sources)[1]
            return np.concatenate([np.concatenate([by_a, by_a * known], axis=1) / SPREAD, np.diag(1 / self.loose)])

        found: Array = least_squares(residuals, self.prior, slopes, method="lm", max_nfev=100).x
        return found

    def _fit_rest(self, traits: Array, rest: Array) -> None:
        """Fits the process to what is left over: the likeliest width, height and noise of the grid."""
        likeliest = -np.inf
        for width, height, noise in product(WIDTHS, HEIGHTS, NOISES):
            kernel = self._kernel(traits, traits, width, height)
            factor = cho_factor(kernel + noise**2 * np.eye(len(rest)), lower=True)
            weights = cho_solve(factor, rest)
            likelihood = -rest @ weights / 2 - np.log(np.diag(factor[0])).sum()
            if likelihood > likeliest:
                likeliest, self._factor, self._weights, self.width, self.height = likelihood, factor, weights, width, height
        self._known = traits

    def _kernel(self, one: Array, other: Array, width: float, height: float) -> Array:
        square = (one**2).sum(1)[:, None] + (other**2).sum(1) - 2 * one @ other.T
        found: Array = height**2 * np.exp(-np.maximum(square, 0.0) / 2 / width**2)
        return found
