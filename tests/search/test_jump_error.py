"""The predicted error of jumps, beside vectors that are added up by hand and beside what dynamic programming minimises."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from frdiff_tune.runtime import keyframe_policy
from frdiff_tune.search.dynamic import segment_costs, step_weights
from frdiff_tune.search.jump_error import jump_error, levels_at
from tests.search.test_dynamic import LEVELS, T, toy
from tests.tiny import tiny_sd


def test_held_scores_cost_what_dynamic_programming_says() -> None:
    trajectory, _ = toy()
    pipe: Any = tiny_sd()
    for keyframes in ([0], [0, 3], [0, 1, 5], list(range(T))):
        policy = keyframe_policy(pipe, T, keyframes, mixing=0.0, variable="epsilon")
        costs = segment_costs(trajectory, "epsilon", 0.5)
        expected = sum(costs[k, n] for k, n in pairwise((*keyframes, T)))
        assert jump_error(policy, trajectory, trajectory.times, 0.5) == pytest.approx(np.sqrt(expected), abs=1e-9)


def test_weights_and_lam_count() -> None:
    """Keyframes 0 and 2, extrapolated: at step 3 1.5 z[2] - .5 z[0], of which a quarter is the step's own score."""
    trajectory, rows = toy()
    pipe: Any = tiny_sd()
    lam = [1.0, 0.0, 1.0, 0.25, *[0.0] * (T - 4)]
    policy = keyframe_policy(pipe, T, [0, 2], mixing=lam, order=1, variable="epsilon")
    plan, c = policy.plan(), step_weights(LEVELS, "epsilon", "epsilon", 1.0)
    first = c[1] * (rows[:, 0] - rows[:, 1])
    second = np.zeros_like(first)
    for t in range(3, T):
        newest, before = plan[t].weights
        second += c[t] * (1 - lam[t]) * (newest * rows[:, 2] + before * rows[:, 0] - rows[:, t])
    expected = np.sqrt((first**2).mean() + (second**2).mean())
    assert jump_error(policy, trajectory, trajectory.times) == pytest.approx(expected, rel=1e-6)


def test_a_policy_that_jumps_nothing_has_no_error() -> None:
    pipe: Any = tiny_sd()
    assert jump_error(keyframe_policy(pipe, T, [0, 3], mixing=1.0, groups={}), toy()[0], toy()[0].times) == 0.0


def test_levels_between_recorded_ones() -> None:
    """Time T - t has the angle of step t; half a step on it has half the way to the next one's."""
    trajectory, _ = toy()
    found = [(level.alpha, level.sigma) for level in levels_at(trajectory, (float(T), T - 0.5, 1.0))]
    assert found[0] == pytest.approx((LEVELS[0].alpha, LEVELS[0].sigma))
    assert found[2] == pytest.approx((LEVELS[-1].alpha, LEVELS[-1].sigma))
    angle = (np.arctan2(LEVELS[0].sigma, LEVELS[0].alpha) + np.arctan2(LEVELS[1].sigma, LEVELS[1].alpha)) / 2
    assert found[1] == pytest.approx((np.cos(angle), np.sin(angle)))
