"""What mattered: which of the choices that a person can name decide a study's objectives.

Parameters as the sampler draws them are too many to read (a keyframe set alone takes one per step), so importance is that of
what their policies do: steps, network calls, where keyframes lie, the solver, what is reused how often, what is forecast.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import log10

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.importance import FanovaImportanceEvaluator, get_param_importances

from frdiff_tune.policy import Policy
from frdiff_tune.search.aim import loss
from frdiff_tune.search.cost_figure import COSTS, better
from frdiff_tune.search.pareto import Front

Choice = float | str
ENOUGH = 12
"""Measured policies from which on importance says something."""


def choices_of(policy: Policy) -> dict[str, Choice]:
    """Returns what a policy does, by names that a person understands."""
    plan, T = policy.plan(), policy.T
    keyframes = [t for t, mark in enumerate(policy.keyframes) if mark == "1"]
    waits = [later - earlier for earlier, later in pairwise([*keyframes, T])]
    calls = max(policy.nfe, 1)
    return {
        "steps": float(T),
        "network calls": float(policy.nfe),
        "solver": policy.sampling.scheduler.name.removesuffix("Scheduler"),
        "keyframes in the first half": sum(t < T / 2 for t in keyframes) / len(keyframes),
        "longest gap over the mean gap": max(waits) * len(keyframes) / T,
        "keyframes behind a jump score": float(max((len(step.weights) for step in plan if not step.calls), default=0)),
        "mixed scores": sum(0 < step.lam < 1 for step in plan) / calls,
        **({"scores kept as": policy.variable} if any(step.weights for step in plan) else {}),
        **{f"reuse of {name}": sum(name in step.reuses for step in plan) / calls for name in sorted(policy.masks)},
    }


def importance(found: Front) -> Mapping[str, Mapping[str, float]]:
    """Returns, for every objective, the share that each choice has in it, the largest first; what never varies is left out.

    Measured by how much of an objective's variance a random forest lays to a choice alone (fANOVA); distances and
    times count in decades.

    Arguments:
        found: What a study has measured; with fewer than ``ENOUGH`` policies nothing is said.

    References:
        | An Efficient Approach for Assessing Hyperparameter Importance (Hutter, Hoos, Leyton-Brown, 2014)
        | https://proceedings.mlr.press/v32/hutter14.html
    """
    rows = [choices_of(point.policy) for point in found.points]
    names = list(dict.fromkeys(name for row in rows for name in row))
    table = {name: _filled([row.get(name) for row in rows]) for name in names}
    varied = {name: values for name, values in table.items() if len(set(values)) > 1}
    if len(rows) < ENOUGH or not varied:
        return {}
    figures = {name: [_value(name, point.trial.figure(name).value) for point in found.points] for name in found.objectives}
    return {name: _shares(varied, values) for name, values in figures.items()}


def _filled(values: Sequence[Choice | None]) -> list[Choice]:
    """Returns a choice of every policy; one that has none reuses nothing, or goes with most."""
    known = [value for value in values if value is not None]
    usual = max(known, key=known.count) if isinstance(known[0], str) else 0.0
    return [usual if value is None else value for value in values]


def _value(name: str, value: float) -> float:
    """Returns a figure so that lower is better, distances in decades."""
    if name in COSTS:
        return (log10(value) if value > 0 else value) * (1 if better(name) == "lower" else -1)
    return loss(name, value)


def _shares(varied: Mapping[str, Sequence[Choice]], values: Sequence[float]) -> dict[str, float]:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study()
    ranges = {name: _range(each) for name, each in varied.items()}
    for i, value in enumerate(values):
        params = {name: each[i] for name, each in varied.items()}
        study.add_trial(optuna.create_trial(params=params, distributions=ranges, value=value))
    found = get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=0))
    return {name: float(share) for name, share in found.items()}


def _range(values: Sequence[Choice]) -> BaseDistribution:
    numbers = [value for value in values if not isinstance(value, str)]
    if len(numbers) < len(values):
        return CategoricalDistribution(sorted({str(value) for value in values}))
    return FloatDistribution(min(numbers), max(numbers))
