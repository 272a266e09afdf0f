"""The error of a policy's jumps, predicted from recorded full runs: what a search knows of a policy before it draws a picture.

At step t the score is off by

    r[t] = (1 - lam[t]) (sum_k w[t, k] z[s_k] - z[t])

with s_k the keyframes before t and z the scores of a full run, and from keyframe k to the next one, n, the sample by

    e[k] = sum_{k < t < n} c[t] r[t]

with c as in ``dynamic``. The error is the root of the sum over segments of the mean over cases of |e[k]|^2: for scores that are
held it is the root of what dynamic programming minimises. It leaves out what groups reuse, what fewer steps lose, and that the
network reacts.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from frdiff_tune.policy import Policy
from frdiff_tune.runtime import Trajectory
from frdiff_tune.runtime.variable import Level
from frdiff_tune.search.dynamic import step_weights

Array = NDArray[np.float64]


def jump_error(policy: Policy, trajectory: Trajectory, times: Sequence[float], early: float = 1.0) -> float:
    """Returns the predicted error of the final sample, in standard deviations of its entries; 0 where no step jumps.

    Arguments:
        policy: Keyframes, lam, weights and variable count.
        trajectory: Recorded full runs.
        times: The timesteps that the policy walks, length T.
        early: How much errors of noisy steps count, as in ``dynamic``.
    """
    residuals, segment = _residuals(policy)
    if not residuals.any():
        return 0.0
    c = np.ones(policy.T)
    if trajectory.levels:
        c = step_weights(levels_at(trajectory, times), trajectory.prediction, policy.variable, early)
    rows = np.zeros((segment[-1] + 1, policy.T))
    np.add.at(rows, segment, c[:, None] * residuals)
    gram = trajectory.gram(policy.variable, tuple(times)).mean(0)
    return float(np.sqrt(max(np.einsum("kt,ts,ks->", rows, gram, rows), 0.0)))


def _residuals(policy: Policy) -> tuple[Array, list[int]]:
    """Returns r[t] as weights of z, with shape (T, T), and which segment each step lies in."""
    residuals, kept = np.zeros((policy.T, policy.T)), list[int]()
    segment: list[int] = []
    for step in policy.plan():
        if step.keyframe:
            kept.insert(0, step.t)
        elif step.weights:
            residuals[step.t, kept[: len(step.weights)]] = [(1 - step.lam) * weight for weight in step.weights]
            residuals[step.t, step.t] -= 1 - step.lam
        segment.append(len(kept) - 1)
    return residuals, segment


def levels_at(trajectory: Trajectory, times: Sequence[float]) -> tuple[Level, ...]:
    """Returns the noise levels at some timesteps; between recorded ones the angle arctan(sigma / alpha) is interpolated.

    Arguments:
        trajectory: Recorded full runs that have noise levels.
        times: Timesteps.
    """
    known = sorted(zip(trajectory.times, trajectory.levels, strict=True))
    angles = np.interp(times, [time for time, _ in known], [np.arctan2(level.sigma, level.alpha) for _, level in known])
    size = np.interp(times, [time for time, _ in known], [np.hypot(level.sigma, level.alpha) for _, level in known])
    return tuple(Level(float(r * np.cos(a)), float(r * np.sin(a))) for r, a in zip(size, angles, strict=True))
