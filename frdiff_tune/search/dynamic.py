"""Dynamic programming: the best keyframe sets of every size, found in recorded trajectories without a network call.

An error d of the noise at step t turns the sample of a deterministic run by

    c[t] d,    c[t] = sin(phi[t] - phi[t + 1]) / alpha[t],    phi = arctan(sigma / alpha)

(one step of DDIM, in its angle). Where the score of keyframe k stands in until the next one, n, the sample is off by

    e[k, n] = sum_{k < t < n} c[t] alpha[t]^(1 - early) (z[k] - z[t])

and the set that is sought minimises the sum over its segments of the mean over cases of |e|^2. With ``early`` = 1 that is the
error of the sample if the network did not react; it does, and brings the sample back to a likely picture, less so early, where
another picture becomes likely. So early errors weigh more in the mean LPIPS than in the median: both kinds of sets are worth a
trial.

References:
    | Denoising Diffusion Implicit Models (Song et al., 2021), equation 12, https://arxiv.org/abs/2010.02502
    | Progressive Distillation for Fast Sampling of Diffusion Models (Salimans and Ho, 2022), appendix D, for the angle
    | LeMiCa: Lexicographic Minimax Path Caching for Efficient Diffusion-Based Video Generation (Gao et al., 2025), which finds
    | a path over segments too, for its largest error, https://arxiv.org/abs/2511.00090
"""

import numpy as np
from numpy.typing import NDArray

from frdiff_tune.runtime import Trajectory
from frdiff_tune.runtime.variable import Level, Variable, coefficients

Array = NDArray[np.float64]


def step_weights(levels: tuple[Level, ...], prediction: str, variable: Variable, early: float) -> Array:
    """Returns by how much an error of the score moves the sample, per step, with shape (T,).

    Arguments:
        levels: Noise level of each step; after the last one there is no noise.
        prediction: The scheduler's prediction type.
        variable: What the score is.
        early: How much errors of noisy steps count; the power of 1 / alpha.
    """
    phi = np.array([np.arctan2(level.sigma, level.alpha) for level in levels] + [0.0])
    alpha = np.array([max(level.alpha, 1e-4) for level in levels])
    noise = np.array([abs(_noise_per(variable, prediction, level)) for level in levels])
    found: Array = np.sin(phi[:-1] - phi[1:]) * alpha**-early * noise
    return found


def _noise_per(variable: Variable, prediction: str, level: Level) -> float:
    """Returns the error of the noise per error of a variable, at one sample."""
    if variable == "epsilon":
        return 1.0
    if variable == "sample":
        return level.alpha / max(level.sigma, 1e-4)
    return coefficients("epsilon", prediction, level)[0]


def segment_costs(trajectory: Trajectory, variable: Variable, early: float = 1.0) -> Array:
    """Returns the mean over cases of |e[k, n]|^2, with shape (T + 1, T + 1); infinite where n is not after k.

    Arguments:
        trajectory: Recorded full runs.
        variable: What scores are stored as.
        early: As above.
    """
    gram = trajectory.gram(variable).mean(0)
    T = len(gram)
    c = step_weights(trajectory.levels, trajectory.prediction, variable, early) if trajectory.levels else np.ones(T)
    return costs_between(gram, c)


def costs_between(gram: Array, c: Array) -> Array:
    """Returns the mean over cases of |e[k, n]|^2, with shape (T + 1, T + 1); infinite where n is not after k.

    Arguments:
        gram: E z[s] z[t], with shape (T, T).
        c: By how much an error of the score moves the sample, with shape (T,).
    """
    T = len(gram)
    area = np.pad((c[:, None] * gram * c[None, :]).cumsum(0).cumsum(1), ((1, 0), (1, 0)))  # sums over s < i, t < j
    costs = np.full((T + 1, T + 1), np.inf)
    for k in range(T):
        n = np.arange(k + 1, T + 1)
        weight = np.concatenate([[0.0], c[k + 1 :].cumsum()])
        along = np.concatenate([[0.0], (c[k + 1 :] * gram[k, k + 1 :]).cumsum()])
        inside = area[n, n] - area[k + 1, n] - area[n, k + 1] + area[k + 1, k + 1]
        costs[k, k + 1 :] = np.maximum(weight**2 * gram[k, k] - 2 * weight * along + inside, 0.0)
    return costs


def best_sets(costs: Array, most: int) -> dict[int, tuple[int, ...]]:
    """Returns the cheapest keyframe set of every size from 1 to ``most``: size -> keyframes, step 0 first.

    Arguments:
        costs: Cost of a segment from its keyframe to the next one or the end, with shape (T + 1, T + 1).
        most: The largest size, at most T.
    """
    T = len(costs) - 1
    best, before = costs[0].copy(), [np.zeros(T + 1, dtype=int)]
    found: dict[int, tuple[int, ...]] = {1: (0,)}
    for size in range(2, min(most, T) + 1):
        sums = best[:, None] + costs
        before.append(sums.argmin(0))
        best = sums.min(0)
        found[size] = _path(before, T)
    return found


def _path(before: list[NDArray[np.int64]], end: int) -> tuple[int, ...]:
    places = []
    for came in reversed(before):
        end = int(came[end])
        places.append(end)
    return tuple(reversed(places))
