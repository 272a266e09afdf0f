"""Optuna's distributions of a space's parameters."""

from collections.abc import Mapping, Sequence
from math import inf, prod
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from frdiff_tune.search.encodings import Numbers
from frdiff_tune.search.space_file import ForecastSection


def share_of(forecast: ForecastSection) -> BaseDistribution:
    """Returns the values of a share of fitted weights."""
    return FloatDistribution(*forecast.fit, step=forecast.fit_grid)


def distribution_of(numbers: Numbers) -> BaseDistribution:
    """Returns the values of a number of a keyframe encoding."""
    if isinstance(numbers.step, int):
        return IntDistribution(int(numbers.low), int(numbers.high), log=numbers.log, step=numbers.step)
    return FloatDistribution(numbers.low, numbers.high, step=numbers.step)


def within(value: Any, distribution: BaseDistribution) -> bool:  # noqa: ANN401
    """Whether a value is one of a parameter's."""
    if isinstance(distribution, CategoricalDistribution):
        return value in distribution.choices
    assert isinstance(distribution, (IntDistribution, FloatDistribution))
    steps = 0.0 if distribution.step is None else (value - distribution.low) / distribution.step
    return bool(distribution.low <= value <= distribution.high and abs(steps - round(steps)) < 1e-6)


def first_value(distribution: BaseDistribution) -> Any:  # noqa: ANN401
    """Returns a parameter's first choice, or its least number."""
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[0]
    assert isinstance(distribution, (IntDistribution, FloatDistribution))
    return distribution.low


def values_of(distribution: BaseDistribution) -> Sequence[Any] | None:
    """Returns the values of a parameter, or None if it has infinitely many."""
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices
    if isinstance(distribution, IntDistribution):
        return range(distribution.low, distribution.high + 1, distribution.step)
    assert isinstance(distribution, FloatDistribution)
    if distribution.single():
        return (distribution.low,)
    if distribution.step is None:
        return None
    steps = round((distribution.high - distribution.low) / distribution.step)
    return [round(distribution.low + i * distribution.step, 9) for i in range(steps + 1)]


def vectors(distributions: Mapping[str, BaseDistribution]) -> float:
    """Returns how many vectors some parameters have together; infinity where one has infinitely many values."""
    values = [values_of(distribution) for distribution in distributions.values()]
    return prod(inf if each is None else len(each) for each in values)
