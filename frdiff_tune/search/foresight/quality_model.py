"""A model of how far pictures are from the reference, from errors that are foreseen and from trials that are measured.

Errors of several kinds add up, and a distance d between pictures grows with the power of an error until it saturates:

    d = s / (1 + s / most),    s = least + sum_j 10^(a[j] + p[j] (source[j] - usual[j]))

a and p have priors, so that the model says something before anything is measured; they are fitted to the trials by least
squares. What is left over is a Gaussian process over the policies' traits, whose width, height and noise have the largest
likelihood on a grid; traits come scaled, so a width of 1 is the usual one. How far a and p are not known yet is part of the
deviation, so that a kind of error of which nothing was measured is worth a trial. All is in decades: log10 of d.

References:
    | Gaussian Processes for Machine Learning (Rasmussen and Williams, 2006), algorithm 2.1 and section 2.7
"""

from collections.abc import Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import block_diag, cho_factor, cho_solve, solve_triangular
from scipy.optimize import least_squares

from frdiff_tune.search.foresight.errors_foreseen import Foreseen

Array = NDArray[np.float64]

PRIORS = {
    "jump early": (-1.0, -2.71, 1.75),
    "jump middle": (-1.0, -1.41, 3.58),
    "jump late": (-1.0, -2.38, 1.92),
    "fit": (-1.0, -2.66, 1.8),
    "group": (-1.0, -2.63, 1.75),
    "steps": (0.3, -2.1, 1.17),
    "solver": (0.3, -2.24, 3.18),
}
"""Kind of error -> its usual size, and a and p; distances are LPIPS. ``benchmarks.priors`` fits them to recorded tables."""
GUESSED = {
    "fitted early": (-1.0, -3.2, 1.5),
    "fitted middle": (-1.0, -2.2, 2.0),
    "fitted late": (-1.0, -2.9, 1.5),
}
"""The same of fitted steps, of which no table is recorded yet: a third of the distance that jumps make."""
LOOSE = (0.7, 0.6)
"""Standard deviations of a and p. These and the numbers below, but ``MOST`` and ``LEAST``, are the best of some dozens of
settings that were tried in searches of the two recorded tables; no other model has confirmed them."""
OWN = (0.35, 0.3)
"""As much of them is a kind's own; the rest jumps and groups share, as a distance does not know where an error comes from."""
ALIKE = ("jump early", "jump middle", "jump late", "fitted early", "fitted middle", "fitted late", "group")
MOST, LEAST = 0.5, 1e-5
"""LPIPS of pictures that have nothing to do with each other, and numerical noise."""
SPREAD = 0.2
"""Standard deviation of what the sum of errors leaves over, in decades."""
WIDTHS, HEIGHTS, NOISES = (1.0, 1.5), (0.2, 0.4), (0.05, 0.1)


class QualityModel:
    """Foresees log10 of the distance to the reference.

    Arguments:
        names: Of the sources, as ``ErrorSources.names`` has them.
        measured: Errors of the policies that are measured.
        losses: log10 of the distance of each.
    """

    def __init__(self, names: Sequence[str], measured: Sequence[Foreseen], losses: Sequence[float]) -> None:
        kinds = [kind(name) for name in names]
        self.usual, *prior = np.array([(PRIORS | GUESSED)[each] for each in kinds]).T
        self.prior = np.concatenate(prior)  # all a, then all p
        self.covariance: Array = _prior_covariance([each in ALIKE for each in kinds])
        self.whiten = np.linalg.inv(np.linalg.cholesky(self.covariance))
        self.theta: Array = self.prior
        self._known, self._weights, self._factor = np.zeros((0, 0)), np.zeros(0), None
        self.width, self.height = WIDTHS[0], HEIGHTS[0]
        if measured:
            y = np.array(losses)
            sources = self._sources(measured)
            self.theta = self._fitted(sources, y)
            self._fit_rest(np.array([each.traits for each in measured]), y - self._sum(self.theta, sources))

    def __call__(self, policies: Sequence[Foreseen]) -> tuple[Array, Array]:
        """Returns the expected log10 of the distance, and its standard deviation, both with shape (n,)."""
        sources = self._sources(policies)
        mean, slopes = self._sum(self.theta, sources), self._slopes(self.theta, sources)
        unsure = ((slopes @ self.covariance) * slopes).sum(1)
        if self._factor is None:
            return mean, np.sqrt(SPREAD**2 + unsure)
        apart = _apart(np.array([each.traits for each in policies]), self._known)
        across = self.height**2 * np.exp(-apart / 2 / self.width**2)
        inside = solve_triangular(self._factor[0], across.T, lower=True, check_finite=False)
        rest = np.maximum(self.height**2 - (inside**2).sum(0), 1e-4)
        return mean + across @ self._weights, np.sqrt(rest + unsure)

    def _sources(self, policies: Sequence[Foreseen]) -> Array:
        """Returns how far errors are above their usual size, in decades, with shape (n, sources)."""
        found: Array = np.array([each.sources for each in policies]) - self.usual
        return found

    def _sum(self, theta: Array, sources: Array) -> Array:
        return self._parts(theta, sources)[0]

    def _parts(self, theta: Array, sources: Array) -> tuple[Array, Array]:
        """Returns log10 of the distance, with shape (n,), and its derivative by a, with shape (n, sources)."""
        a, p = np.split(theta, 2)
        there = np.isfinite(sources)
        parts = np.where(there, 10 ** np.minimum(a + p * np.where(there, sources, 0.0), 3.0), 0.0)
        whole = LEAST + parts.sum(1)
        return np.log10(whole / (1 + whole / MOST)), parts * (1 / whole - 1 / (whole + MOST))[:, None]

    def _slopes(self, theta: Array, sources: Array) -> Array:
        """Returns the derivative of log10 of the distance by a and p, with shape (n, 2 sources)."""
        by_a = self._parts(theta, sources)[1]
        return np.concatenate([by_a, by_a * np.where(np.isfinite(sources), sources, 0.0)], axis=1)

    def _fitted(self, sources: Array, y: Array) -> Array:
        def residuals(theta: Array) -> Array:
            return np.concatenate([(self._sum(theta, sources) - y) / SPREAD, self.whiten @ (theta - self.prior)])

        def slopes(theta: Array) -> Array:
            return np.concatenate([self._slopes(theta, sources) / SPREAD, self.whiten])

        found: Array = least_squares(residuals, self.prior, slopes, method="lm", ftol=1e-4, xtol=1e-4, max_nfev=100).x
        there = slopes(found)
        self.covariance = np.linalg.inv(there.T @ there).astype(np.float64)
        return found

    def _fit_rest(self, traits: Array, rest: Array) -> None:
        """Fits the process to what is left over: the likeliest width, height and noise of the grid."""
        likeliest, apart = -np.inf, _apart(traits, traits)
        for width in WIDTHS:
            alike = np.exp(-apart / 2 / width**2)
            for height, noise in product(HEIGHTS, NOISES):
                factor = cho_factor(height**2 * alike + noise**2 * np.eye(len(rest)), lower=True, check_finite=False)
                weights = cho_solve(factor, rest, check_finite=False)
                likelihood = -rest @ weights / 2 - np.log(np.diag(factor[0])).sum()
                if likelihood > likeliest:
                    likeliest, self._factor, self._weights, self.width, self.height = likelihood, factor, weights, width, height
        self._known = traits


def _apart(one: Array, other: Array) -> Array:
    """Returns squared distances of traits, with shape (n, m)."""
    square = (one**2).sum(1)[:, None] + (other**2).sum(1) - 2 * one @ other.T
    found: Array = np.maximum(square, 0.0)
    return found


def kind(name: str) -> str:
    """Returns the kind of a source, a key of ``PRIORS`` or ``GUESSED``."""
    return name if name in PRIORS or name in GUESSED else name.split()[0]


def _prior_covariance(alike: Sequence[bool]) -> Array:
    """Returns the covariance of all a, then all p, with shape (2 sources, 2 sources).

    Arguments:
        alike: Whether each source shares most of its a and p with the others of which that is true.
    """
    shared = [np.where(np.outer(alike, alike), loose**2 - own**2, 0.0) for loose, own in zip(LOOSE, OWN, strict=True)]
    found: Array = block_diag(*shared)
    np.fill_diagonal(found, np.repeat(np.square(LOOSE), len(alike)))
    return found
