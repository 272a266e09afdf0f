"""A model of a policy's latency, from the reference's and from the trials so far.

A call takes a fixed time, a time per step, a time per step that calls the network, and less of that where groups reuse:

    latency / reference = b0 + b1 T + b2 nfe - sum_g b[g] reused[g] + sum_s b[s] T [solver is s]

b has a prior that only knows the reference, and is fitted to the trials by least squares of the relative error.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from frdiff_tune.search.foresight.outline import Outline
from frdiff_tune.search.space_file import FITTED

Array = NDArray[np.float64]

FIXED, STEP, SAVED = 0.04, 0.06, 0.5
"""Before anything is measured: of the reference's time what is no step, what of a step is not the network, and of a network
call what a group saves."""
ERROR = 0.03
"""Relative error of a measured latency, and of the model."""


class LatencyModel:
    """Foresees latency over the reference's.

    Arguments:
        groups: Names of the space's groups.
        solvers: Labels of solvers other than the reference's.
        T: Denoiser steps of the reference.
        measured: Outlines of the policies that are measured.
        ratios: Latency of each over the reference's.
    """

    def __init__(
        self, groups: Sequence[str], solvers: Sequence[str], T: int, measured: Sequence[Outline], ratios: Sequence[float]
    ) -> None:
        self.groups, self.solvers, self.T = tuple(groups), tuple(solvers), T
        network = 1 - FIXED - STEP
        prior = np.array([FIXED, STEP, network, *[SAVED * network] * len(groups), *[0.0] * len(solvers)])
        loose = np.array([0.05, 0.15, 0.2, *[0.4] * len(groups), *[0.05] * len(solvers)])
        whole = np.array([[1.0, 1.0, 1.0, *[0.0] * (len(groups) + len(solvers))]])  # the reference itself
        rows = np.concatenate([whole, *self._rows(measured)])
        y = np.array([1.0, *ratios])
        weight = 1 / (ERROR * y)
        left = np.concatenate([rows * weight[:, None], np.diag(1 / loose)])
        right = np.concatenate([y * weight, prior / loose])
        self.covariance: Array = np.linalg.inv(left.T @ left)
        self.b: Array = self.covariance @ (left.T @ right)

    def __call__(self, outlines: Sequence[Outline]) -> tuple[Array, Array]:
        """Returns latency over the reference's, and its standard deviation, by how far b is known; both with shape (n,)."""
        rows = np.concatenate(self._rows(outlines))
        unsure = np.sqrt(np.maximum(((rows @ self.covariance) * rows).sum(1), 0.0))
        return np.maximum(rows @ self.b, 1e-3), unsure

    def _rows(self, outlines: Sequence[Outline]) -> list[Array]:
        return [_row(outline, self.groups, self.solvers, self.T) for outline in outlines]


@lru_cache(maxsize=2**14)
def _row(outline: Outline, groups: tuple[str, ...], solvers: tuple[str, ...], reference_T: int) -> Array:
    """Returns what b is multiplied with, with shape (1, n); a proposal asks for that of every trial again."""
    T = (outline.nfe if outline.scheduler == FITTED else outline.T) / reference_T  # fitted steps leave out what they jump
    reused = (-outline.reused(group) / reference_T for group in groups)
    return np.array([[1.0, T, outline.nfe / reference_T, *reused, *(T * (label == outline.scheduler) for label in solvers)]])
