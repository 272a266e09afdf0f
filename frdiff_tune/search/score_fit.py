"""Forecast weights of the score, fitted to recorded trajectories: the jump score that would have been closest in full runs.

    w[t] = argmin E |z[t] - sum_k w[k] z[s_k]|^2 + ridge * energy * |w - e_0|^2

with s_k the last keyframes before t, newest first, z the score in the policy's variable, energy the mean of E |z[s_k]|^2, and
e_0 the weights that hold the newest. The ridge is the one of ``RIDGES`` with which weights fitted to all cases but one forecast
that one best, summed over cases and steps. No network is called, and a fit takes a few milliseconds.

What is closest in full runs is not the best picture where keyframes are sparse, as a policy's own run has left them. So a
policy goes a share of the way to the fitted weights, one share for each third of the run; the search decides how far.

References:
    | Beyond Fixed Formulas: Data-Driven Linear Predictor for Efficient Diffusion Models (Shen et al., 2026)
    | https://arxiv.org/abs/2604.26365, whose weights are trained by gradient descent
    | Ridge Regression: Biased Estimation for Nonorthogonal Problems (Hoerl and Kennard, 1970)
    | https://doi.org/10.1080/00401706.1970.10488634
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from frdiff_tune.policy import Policy
from frdiff_tune.policy.forecast import float32
from frdiff_tune.runtime import Trajectory
from frdiff_tune.runtime.variable import Variable

Array = NDArray[np.float64]
Rows = tuple[tuple[float, ...], ...]

WINDOW = 2
"""Keyframes that a fit weighs; three were further off than two wherever it mattered: benchmarks/results/found-*.json."""
RIDGES = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1)


def fitted_weights(gram: Array, keyframes: Sequence[int], window: int = WINDOW) -> dict[int, Array]:
    """Returns the fitted weights of every step that is no keyframe, newest keyframe first.

    Arguments:
        gram: E z[s] z[t] of each case, with shape (cases, T, T).
        keyframes: In order, step 0 first.
        window: Keyframes that are weighed at most.

    Returns:
        Step -> weights, with shape (min(window, keyframes before it),).
    """
    known, T = set(keyframes), gram.shape[1]
    batches: dict[int, list[tuple[int, list[int]]]] = {}
    for t in range(T):
        if t not in known:
            kept = [k for k in keyframes if k < t][: -window - 1 : -1]
            batches.setdefault(len(kept), []).append((t, kept))
    parts = [_Batch(gram, [t for t, _ in steps], np.array([kept for _, kept in steps])) for steps in batches.values()]
    if not parts:
        return {}
    ridge = min(RIDGES, key=lambda ridge: sum(part.left_out_error(ridge) for part in parts)) if len(gram) > 1 else RIDGES[3]
    return {t: row for part in parts for t, row in zip(part.steps, part.pooled(ridge), strict=True)}


class _Batch:
    """Steps that weigh equally many keyframes.

    Arguments:
        gram: As above.
        steps: The n steps.
        kept: Keyframes of each, newest first, with shape (n, nodes).
    """

    def __init__(self, gram: Array, steps: list[int], kept: NDArray[np.int64]) -> None:
        at = np.array(steps)
        self.steps = steps
        self.inner = gram[:, kept[:, :, None], kept[:, None, :]]  # (cases, n, nodes, nodes)
        self.cross = gram[:, kept, at[:, None]]  # (cases, n, nodes)
        self.own = gram[:, at, at]  # (cases, n)
        self.missed = self.cross - self.inner[..., 0]  # what holding leaves, seen from each keyframe

    def weights(self, ridge: float, inner: Array, missed: Array) -> Array:
        """Returns the ridge solution of some cases' mean products, with shape (..., n, nodes)."""
        nodes = inner.shape[-1]
        energy = np.trace(inner, axis1=-2, axis2=-1)[..., None, None] / nodes
        change = np.linalg.solve(inner + ridge * energy * np.eye(nodes), missed[..., None])[..., 0]
        change[..., 0] += 1.0
        found: Array = change
        return found

    def pooled(self, ridge: float) -> Array:
        """Returns the weights that all cases together give, with shape (n, nodes)."""
        return self.weights(ridge, self.inner.mean(0), self.missed.mean(0))

    def left_out_error(self, ridge: float) -> float:
        """Returns the relative error, summed over cases and steps, of weights that have not seen the case."""
        cases = len(self.inner)
        inner, missed = ((each.sum(0) - each) / (cases - 1) for each in (self.inner, self.missed))
        w = self.weights(ridge, inner, missed)
        error = self.own - 2 * (w * self.cross).sum(-1) + np.einsum("cni,cnij,cnj->cn", w, self.inner, w)
        return float((error / self.own).sum())


class ScoreFits:
    """Fitted weights of policies' keyframe sets; they are kept, as neighbours often share a set.

    Arguments:
        trajectory: Recorded full runs.
    """

    def __init__(self, trajectory: Trajectory) -> None:
        self.trajectory = trajectory
        self._grams: dict[tuple[Variable, tuple[float, ...]], Array] = {}
        self._found: dict[tuple[Variable, tuple[float, ...], str], dict[int, Array]] = {}

    def __call__(self, policy: Policy, times: Sequence[float]) -> dict[int, Array]:
        """Returns the fitted weights of every step that is no keyframe, newest keyframe first.

        Arguments:
            policy: Its keyframes and its variable count.
            times: The timesteps that it walks, length T.
        """
        walk = policy.variable, tuple(times)
        if walk not in self._grams:
            self._grams[walk] = self.trajectory.gram(*walk)
        key = *walk, policy.keyframes
        if key not in self._found:
            keyframes = [t for t, bit in enumerate(policy.keyframes) if bit == "1"]
            self._found[key] = fitted_weights(self._grams[walk], keyframes)
        return self._found[key]


def with_fit(policy: Policy, fits: Mapping[int, Array], shares: Sequence[float]) -> Policy:
    """Returns a policy whose jump scores go a share of the way from their weights to the fitted ones.

    Arguments:
        policy: A policy with jump scores.
        fits: Step -> fitted weights.
        shares: How far to go in each third of the run, in [0, 1].
    """
    plan = policy.plan()
    table = tuple(
        _between(step.weights, fits[step.t], share_at(shares, step.t, policy.T)) if step.weights else () for step in plan
    )
    return policy.replace(forecast={**policy.forecast, "score": table}, measured=None, machine=None)


def share_at(shares: Sequence[float], t: int, T: int) -> float:
    """Returns the share of the third that step ``t`` of ``T`` lies in."""
    return shares[min(len(shares) * t // T, len(shares) - 1)]


def _between(own: Sequence[float], fit: Array, share: float) -> tuple[float, ...]:
    """Returns (1 - share) * own + share * fit, rounded to float32, without zeros at the end."""
    size = max(len(own), len(fit))
    first, second = ([*map(float, each), *[0.0] * (size - len(each))] for each in (own, fit))
    row = [float32((1 - share) * a + share * b) for a, b in zip(first, second, strict=True)]
    while len(row) > 1 and row[-1] == 0.0:
        row.pop()
    return tuple(row)
