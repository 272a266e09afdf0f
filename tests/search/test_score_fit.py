"""Fitted forecast weights, on trajectories whose best weights are known."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from frdiff_tune.runtime import keyframe_policy
from frdiff_tune.search.score_fit import RIDGES, ScoreFits, fitted_weights, share_at, with_fit
from tests.search.test_dynamic import toy
from tests.tiny import tiny_sd

T = 6
Array = NDArray[np.float64]


def gram_of(rows: Array) -> Array:
    """Returns the products of rows with shape (cases, T, entries)."""
    found: Array = rows @ rows.transpose(0, 2, 1) / rows.shape[2]
    return found


def lines(cases: int = 3) -> Array:
    """Returns scores that change linearly with the step, another line per case and entry."""
    rng = np.random.default_rng(1)
    start, slope = rng.normal(size=(2, cases, 1, 40))
    found: Array = start + slope * np.arange(T)[None, :, None]
    return found


def test_lines_are_extrapolated() -> None:
    """With keyframes 0, 1, 3: at step 2, a gap on, 2 and -1; at step 4, half a gap on, 1.5 and -0.5."""
    found = fitted_weights(gram_of(lines()), [0, 1, 3], window=2)
    assert set(found) == {2, 4, 5}
    assert found[2] == pytest.approx((2.0, -1.0), abs=1e-3)
    assert found[4] == pytest.approx((1.5, -0.5), abs=1e-3)


def test_scores_without_a_pattern_are_shrunk_more_than_lines() -> None:
    """Nothing forecasts a random walk better than holding it: the ridge that leaves one out well is large."""
    own_way = np.random.default_rng(2).normal(size=(3, T, 3)).cumsum(1)
    keyframes = [0, 1, 2]
    fitted, ridges = fitted_weights(gram_of(own_way), keyframes, window=3), []
    for ridge in RIDGES:
        gram = gram_of(own_way).mean(0)
        inner, missed = gram[np.ix_([2, 1, 0], [2, 1, 0])], gram[[2, 1, 0], 4] - gram[[2, 1, 0], 2]
        change = np.linalg.solve(inner + ridge * np.trace(inner) / 3 * np.eye(3), missed)
        ridges += [ridge] if np.allclose(fitted[4], change + np.eye(3)[0]) else []
    assert ridges and ridges[0] >= 1e-3


def test_the_left_out_case_decides_the_ridge() -> None:
    """Two cases that agree on a line and a third that does not; with any ridge the fit is finite."""
    rows = lines()
    rows[2, 3:] = rows[2, 2]  # this one stays where it is from step 2 on
    found = fitted_weights(gram_of(rows), [0, 2], window=2)
    assert 1.0 < found[3][0] < 1.5 and all(np.isfinite(row).all() for row in found.values())


def test_shares_go_part_of_the_way_in_each_third() -> None:
    pipe: Any = tiny_sd()
    policy = keyframe_policy(pipe, T, [0, 2], mixing=0.0, variable="epsilon")
    fits = {1: np.array([0.8]), 3: np.array([1.5, -0.5]), 4: np.array([2.0, -1.0]), 5: np.array([3.0, -2.0])}
    table = with_fit(policy, fits, (0.5, 1.0, 0.0)).forecast["score"]
    assert table == ((), (pytest.approx(0.9),), (), (1.5, -0.5), (1.0,), (1.0,))
    assert [share_at((1.0, 2.0, 3.0), t, T) for t in range(T)] == [1.0, 1.0, 2.0, 2.0, 3.0, 3.0]


def test_no_share_changes_nothing_and_the_rest_of_a_policy_stays() -> None:
    pipe: Any = tiny_sd()
    policy = keyframe_policy(pipe, T, [0, 2], mixing=0.0, order=1, variable="epsilon")
    fits = {1: np.array([0.5])} | {t: np.array([0.5, 0.5]) for t in (3, 4, 5)}
    assert with_fit(policy, fits, (0.0, 0.0, 0.0)).digest == policy.digest
    moved = with_fit(policy, fits, (1.0, 1.0, 1.0))
    assert moved.digest != policy.digest and moved.keyframes == policy.keyframes and moved.variable == "epsilon"


def test_fits_are_of_the_policys_own_walk() -> None:
    trajectory, _ = toy(cases=3)
    pipe: Any = tiny_sd()
    fits = ScoreFits(trajectory)
    policy = keyframe_policy(pipe, 7, [0, 3], mixing=0.0, variable="epsilon")
    own = fits(policy, trajectory.times)
    assert own is fits(policy, trajectory.times)
    shorter = keyframe_policy(pipe, 4, [0, 2], mixing=0.0, variable="epsilon")
    other = fits(shorter, trajectory.times[:4])
    assert set(other) == {1, 3}
    expected = fitted_weights(trajectory.gram("epsilon")[:, :4, :4], [0, 2])
    assert all(np.allclose(other[t], expected[t]) for t in other)
