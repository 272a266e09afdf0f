"""Dynamic programming: its sets beside all sets there are, its costs beside those of explicit vectors."""

from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray

from frdiff_tune.runtime import Trajectory
from frdiff_tune.runtime.variable import Level, Variable
from frdiff_tune.search.dynamic import best_sets, segment_costs, step_weights

T = 7
LEVELS = tuple(Level(float(np.cos(a)), float(np.sin(a))) for a in np.linspace(1.5, 0.2, T))


def toy(prediction: str = "epsilon", cases: int = 2) -> tuple[Trajectory, NDArray[np.float64]]:
    """Returns a trajectory, and its outputs with shape (cases, T, entries)."""
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(cases, 2 * T, 5)).cumsum(1)
    grams = rows @ rows.transpose(0, 2, 1) / rows.shape[2]
    return Trajectory(tuple(float(T - t) for t in range(T)), LEVELS, prediction, grams), rows[:, :T]


def test_a_segment_costs_what_its_vectors_say() -> None:
    trajectory, rows = toy()
    c = step_weights(LEVELS, "epsilon", "epsilon", 0.5)
    costs = segment_costs(trajectory, "epsilon", 0.5)
    for k in range(T):
        for n in range(k + 1, T + 1):
            error = sum((c[t] * (rows[:, k] - rows[:, t]) for t in range(k + 1, n)), np.zeros((2, 5)))
            assert np.isclose(costs[k, n], (error**2).mean(), atol=1e-12)
    assert np.isinf(costs[3, 3]) and np.isinf(costs[4, 2])
    assert np.allclose(np.diagonal(costs, 1), 0.0, atol=1e-12)  # two keyframes in a row jump nothing


def test_the_weights_are_those_of_a_ddim_step() -> None:
    """x' = alpha' (x - sigma e) / alpha + sigma' e: an error of e turns x' by sigma' - alpha' sigma / alpha."""
    found = step_weights(LEVELS, "epsilon", "epsilon", 1.0)
    for t, (here, there) in enumerate(zip(LEVELS, (*LEVELS[1:], Level(1.0, 0.0)), strict=True)):
        assert np.isclose(found[t], -(there.sigma - there.alpha * here.sigma / here.alpha))


@pytest.mark.parametrize("variable", ["output", "epsilon", "sample"])
def test_one_error_costs_the_same_in_every_variable(variable: Variable) -> None:
    """At one sample, an error of 1 of the noise is one of alpha / sigma of the clean sample, and of 1 / alpha of v."""
    size = {"epsilon": 1.0, "sample": LEVELS[2].sigma / LEVELS[2].alpha, "output": 1 / LEVELS[2].alpha}[variable]
    found = step_weights(LEVELS, "v_prediction", variable, 1.0)[2] * size
    assert np.isclose(found, step_weights(LEVELS, "v_prediction", "epsilon", 1.0)[2])


def test_the_best_sets_are_the_best_of_all_sets() -> None:
    costs = segment_costs(toy()[0], "epsilon")
    found = best_sets(costs, T)
    assert found[1] == (0,) and found[T] == tuple(range(T))
    for size in range(1, T + 1):
        every = [(0, *rest) for rest in combinations(range(1, T), size - 1)]
        assert found[size] == min(every, key=lambda kept: sum(costs[k, n] for k, n in zip(kept, (*kept[1:], T), strict=True)))


def test_where_noise_levels_are_not_known_every_step_counts_alike() -> None:
    known, rows = toy()
    costs = segment_costs(Trajectory(known.times, (), "epsilon", known.grams), "output")
    assert np.isclose(costs[1, 4], ((2 * rows[:, 1] - rows[:, 2] - rows[:, 3]) ** 2).mean())
