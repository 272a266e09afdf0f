"""The fitted basis: regressions worked by hand, and never worse on the recorded run than what knows only step numbers."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from frdiff_tune.errors import PolicyError
from frdiff_tune.runtime.bases import Basis, Fitted, Taylor

FEATURES = np.array([[1.0, 0.0], [1.0, 1.0], [3.0, 2.0]])
"""Two entries at three steps."""
GRAM = FEATURES @ FEATURES.T


def missed(gram: NDArray[np.float64], weights: tuple[float, ...], steps: list[int], t: int) -> float:
    """Returns E |f[t] - sum_k w[k] f[s_k]|^2 by the Gram matrix."""
    w, kept = np.array(weights), steps[: len(weights)]
    return float(gram[t, t] - 2 * w @ gram[kept, t] + w @ gram[np.ix_(kept, kept)] @ w)


def trajectory(T: int = 30, entries: int = 200, seed: int = 0) -> NDArray[np.float64]:
    """Returns the Gram matrix of features that turn smoothly, with a little noise."""
    rng, t = np.random.default_rng(seed), np.linspace(0, 1, T)[:, None]
    waves = np.sin(t * rng.uniform(0.5, 4.0, entries) + rng.uniform(0, 6, entries)) + 0.01 * rng.normal(size=(T, entries))
    found: NDArray[np.float64] = waves @ waves.T
    return found


def test_by_hand() -> None:
    assert Fitted(GRAM, 2, 0.0).weights([1, 0], 2, 3) == pytest.approx((2.0, 1.0)), "(3, 2) = 2 (1, 1) + (1, 0)"
    # one node: <f2, f1> / <f1, f1> = 5 / 2
    assert Fitted(GRAM, 1, 0.0)([1, 0], 2, 3) == (2.5,)
    # with a ridge of 1: energy 2, so 1 + (5 - 2) / (2 + 2)
    assert Fitted(GRAM, 1, 1.0)([1, 0], 2, 3) == (1.75,)
    # two nodes: G = [[2, 1], [1, 1]], energy 3/2, left after holding (3, 2): [[3.5, 1], [1, 2.5]] d = (3, 2)
    assert Fitted(GRAM, 2, 1.0).weights([1, 0], 2, 3) == pytest.approx((1 + 5.5 / 7.75, 4 / 7.75))
    assert Fitted(GRAM, 2, 1e9).weights([1, 0], 2, 3) == pytest.approx((1.0, 0.0), abs=1e-8), "a great ridge holds"


def test_features_on_a_line_are_extrapolated() -> None:
    line = np.stack([np.ones(50), np.arange(50) / 50], axis=1)
    fitted = Fitted(line @ line.T, 2, 0.0)
    assert fitted.weights([20, 17], 22, 50) == pytest.approx(Taylor(1).weights([20, 17], 22, 50))
    assert fitted.nodes == 2


def test_kept_features_that_are_equal_share_nothing_that_is_not_known() -> None:
    """f0 = f1, so any weights of the same sum do: of those the nearest to holding f1."""
    features = np.array([[1.0, 1.0], [1.0, 1.0], [2.0, 2.0]])
    assert Fitted(features @ features.T, 2, 0.0).weights([1, 0], 2, 3) == pytest.approx((1.5, 0.5))
    assert Fitted(np.zeros((3, 3)), 2).weights([1, 0], 2, 3) == (1.0, 0.0)


@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize("seed", range(3))
def test_on_the_recorded_run_it_is_never_worse_than_taylor(order: int, seed: int) -> None:
    gram = trajectory(seed=seed)
    for ridge, basis in ((0.0, Taylor(order)), (1e-3, Taylor(0))):  # with a ridge, never worse than holding
        fitted: Basis = Fitted(gram, order + 1, ridge)
        for steps, t in (([4, 3, 0], 5), ([10, 7, 4], 12), ([20, 19, 12], 29), ([6], 8)):
            theirs = missed(gram, basis.weights(steps[: order + 1], t, 30), steps, t)
            assert missed(gram, fitted.weights(steps[: order + 1], t, 30), steps, t) <= theirs * (1 + 1e-9)
            assert missed(gram, fitted(steps, t, 30), steps, t) <= theirs * (1 + 1e-4) + 1e-6, "rounded to float32"


def test_it_keeps_a_copy_that_nobody_writes_into() -> None:
    gram = GRAM.copy()
    fitted = Fitted(gram, 1, 0.0)
    gram[:] = 0.0
    assert fitted([1], 2, 3) == (2.5,)
    with pytest.raises(ValueError, match="read-only"):
        fitted.gram[0, 0] = 1.0
    assert "gram" not in repr(fitted)


@pytest.mark.parametrize(
    ("gram", "options", "message"),
    [
        (GRAM[:2], {}, r"`gram` must be a square matrix but got the shape \(2, 3\). Take it from a recording"),
        (np.ones(3), {}, r"`gram` must be a square matrix but got the shape \(3,\)"),
        (GRAM * np.inf, {}, "`gram` must be finite but got .*Record in a wider dtype"),
        (np.triu(GRAM), {}, "`gram` must be symmetric but differs from its transpose by 5"),
        (GRAM, {"window": 0}, r"`window` must lie in \[1, 16\] but got 0"),
        (GRAM, {"window": True}, r"`window` must lie in \[1, 16\] but got True"),
        (GRAM, {"ridge": -1.0}, "`ridge` must be a finite number from 0 on but got -1.0"),
    ],
)
def test_what_is_refused(gram: Any, options: dict[str, Any], message: str) -> None:
    with np.errstate(invalid="ignore"), pytest.raises(PolicyError, match=message):
        Fitted(gram, **options)


def test_another_walk_is_refused() -> None:
    with pytest.raises(PolicyError, match=r"`gram` must have a row for each of the policy's 50 steps but has 3"):
        Fitted(GRAM)([1, 0], 2, 50)
