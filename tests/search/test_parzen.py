"""Parzen's densities: those of Optuna's estimator, for all parameters at once."""

from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers._tpe.parzen_estimator import _ParzenEstimator, _ParzenEstimatorParameters
from optuna.trial import FrozenTrial, TrialState

from frdiff_tune.search.samplers.parzen import Axes, Parzen, best_draws
from frdiff_tune.search.samplers.tpe import OTHERS, thinned

SPACE: dict[str, Any] = {
    "gap": IntDistribution(1, 50, log=True),
    "steps": IntDistribution(8, 50, step=3),
    "strength": FloatDistribution(0.0, 1.5, step=0.25),
    "slope": FloatDistribution(5.0, 100.0, log=True),
    "knot": FloatDistribution(-1.0, 1.0),
    "family": CategoricalDistribution(("none", "jump", "linear")),
}
ONE = {"gap": 3, "steps": 14, "strength": 0.5, "slope": 20.0, "knot": -0.25, "family": "jump"}
OTHER = {"gap": 20, "steps": 50, "strength": 1.5, "slope": 90.0, "knot": 0.5, "family": "none"}


def anywhere(count: int) -> list[dict[str, Any]]:
    sampler = optuna.samplers.RandomSampler(seed=0)
    study = optuna.create_study(sampler=sampler)
    return [study.ask(SPACE).params for _ in range(count)]


@pytest.mark.parametrize("count", [0, 1, 2, 40])
def test_masses_are_those_of_optuna(count: int) -> None:
    seen, axes = anywhere(count), Axes(SPACE)
    ours = Parzen(axes, seen)
    draws = ours.numbers(np.random.RandomState(0), 30)
    for i, name in enumerate(axes.names):
        theirs = _ParzenEstimator(
            {name: np.array([each[name] for each in seen], float)},
            {name: SPACE[name]},
            _ParzenEstimatorParameters(1.0, True, False, np.ones, True),
        )
        expected, found = np.exp(theirs.log_pdf({name: draws[:, i]})), ours.masses(draws)[:, i]
        strip = 1.0 if SPACE[name].step else expected / found  # a density stands against the mass of a strip
        assert found * strip == pytest.approx(expected, rel=1e-6)
        assert np.ptp(strip) <= 1e-3 * np.max(strip), "it is as narrow everywhere"


def test_draws_lie_where_parameters_may() -> None:
    axes = Axes(SPACE)
    drawn = Parzen(axes, [ONE, OTHER]).numbers(np.random.RandomState(0), 500)
    for name, column in zip(axes.names, drawn.T, strict=True):
        distribution = SPACE[name]
        assert all(distribution._contains(value) for value in column), name
        some = 0.1 * (distribution.high - distribution.low)
        assert column.min() < distribution.low + some and column.max() > distribution.high - some


def test_what_the_good_have_and_the_others_have_not_is_drawn() -> None:
    axes = Axes(SPACE)
    found = best_draws(Parzen(axes, [ONE] * 9), Parzen(axes, [OTHER] * 9), np.random.RandomState(0), 24)
    assert list(found) == list(SPACE) and found["family"] == "jump" and isinstance(found["steps"], int)
    for name in axes.names:
        assert abs(found[name] - ONE[name]) < abs(found[name] - OTHER[name]), name


def test_of_many_others_some_are_kept_and_all_that_run() -> None:
    def trial(number: int, state: TrialState) -> FrozenTrial:
        made = optuna.trial.create_trial(state=state, values=[1.0] if state == TrialState.COMPLETE else None)
        made.number = number
        return made

    many = [trial(i, TrialState.COMPLETE) for i in range(5 * OTHERS)]
    runs = trial(len(many), TrialState.RUNNING)
    kept = [each.number for each in thinned([*many, runs])]
    assert kept == sorted(kept) and len(kept) == OTHERS + 1
    assert kept[0] == 0 and kept[-2:] == [len(many) - 1, runs.number]
    assert thinned(many[:OTHERS]) == many[:OTHERS]
