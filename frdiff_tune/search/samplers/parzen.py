"""Parzen's densities: of every parameter by itself, from some trials, and all parameters at once.

In a number each trial is a normal kernel that is cut off at the bounds, and as wide as the farther of its neighbours is away;
one more kernel, as wide as the range, is the prior. Each of a parameter's values has the mass between the borders to the next
ones, those of a continuous one the mass of a narrow strip. Of choices it counts how often each was made, and once more.

References:
    | Algorithms for Hyper-Parameter Optimization (Bergstra et al., 2011), section 4
    | Tree-Structured Parzen Estimator: Understanding Its Algorithm Components (Watanabe, 2023), https://arxiv.org/abs/2304.11127,
    | section 3.3.3 for the least width
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from scipy.special import ndtr, ndtri

from frdiff_tune.search.space_file import Params

Array = NDArray[np.float64]

STRIP = 1e-4
"""Width of a strip, as a part of the range."""
NARROWEST = 100.0
"""No kernel is narrower than the range over this."""


class Axes:
    """The parameters of a space: numbers, each on the scale on which it is drawn, and choices.

    Arguments:
        distributions: Parameters that have more than one value.
    """

    def __init__(self, distributions: Mapping[str, BaseDistribution]) -> None:
        self.distributions = distributions
        self.choices = {name: each for name, each in distributions.items() if isinstance(each, CategoricalDistribution)}
        numbers = {n: each for n, each in distributions.items() if isinstance(each, (IntDistribution, FloatDistribution))}
        self.names = tuple(numbers)
        self.log = np.array([each.log for each in numbers.values()], bool)
        self.least = np.array([each.low for each in numbers.values()], float)
        self.most = np.array([each.high for each in numbers.values()], float)
        self.step = np.array([each.step or 0.0 for each in numbers.values()], float)
        self.low, self.high = self.scaled(self.least - self.step / 2), self.scaled(self.most + self.step / 2)
        self.strip = np.where(self.step > 0, 0.0, STRIP * (self.high - self.low))

    def scaled(self, values: Array) -> Array:
        """Returns numbers on the scale on which they are drawn, with the shape that they have: (..., numbers)."""
        found: Array = np.log(values, out=values.astype(float), where=np.broadcast_to(self.log, values.shape))
        return found

    def borders(self, values: Array) -> tuple[Array, Array]:
        """Returns where the mass of each number begins and ends, on the scale on which it is drawn."""
        left, right = self.scaled(values - self.step / 2), self.scaled(values + self.step / 2)
        return left - self.strip / 2, right + self.strip / 2

    def rounded(self, scaled: Array) -> Array:
        """Returns the numbers nearest to some on the scale on which they are drawn."""
        values = np.exp(scaled, out=scaled.copy(), where=np.broadcast_to(self.log, scaled.shape))
        step = np.where(self.step > 0, self.step, 1.0)
        on_grid = self.least + np.round((values - self.least) / step) * step
        return np.clip(np.where(self.step > 0, on_grid, values), self.least, self.most)


class Parzen:
    """Densities of the parameters of some trials.

    Arguments:
        axes: The parameters.
        trials: Parameters of the trials.
    """

    def __init__(self, axes: Axes, trials: Sequence[Params]) -> None:
        self.axes = axes
        seen = np.array([[each[name] for name in axes.names] for each in trials], float).reshape(-1, len(axes.names))
        at, (low, high) = axes.scaled(seen), (axes.low, axes.high)
        self.center = np.vstack([at, (low + high) / 2])
        self.width = np.vstack([_widths(at, low, high), high - low])
        self._inside = ndtr((high - self.center) / self.width) - ndtr((low - self.center) / self.width)
        self.chances = {name: _chances(each, [trial[name] for trial in trials]) for name, each in axes.choices.items()}

    def numbers(self, rng: np.random.RandomState, count: int) -> Array:
        """Returns draws of every number, with shape (count, numbers)."""
        kernel = rng.randint(len(self.center), size=(count, len(self.axes.names)))
        center, width, inside = (np.take_along_axis(each, kernel, 0) for each in (self.center, self.width, self._inside))
        below = ndtr((self.axes.low - center) / width) + rng.random_sample(kernel.shape) * inside
        return self.axes.rounded(np.clip(center + width * ndtri(below), self.axes.low, self.axes.high))

    def masses(self, numbers: Array) -> Array:
        """Returns how likely each number is, with the shape of ``numbers``: (draws, numbers)."""
        left, right = (each[:, None] for each in self.axes.borders(numbers))
        found = ndtr((right - self.center) / self.width) - ndtr((left - self.center) / self.width)
        mean: Array = (found / self._inside).mean(axis=1)
        return mean


def best_draws(good: Parzen, others: Parzen, rng: np.random.RandomState, count: int) -> dict[str, Any]:
    """Returns each parameter's draw from the good trials with the best ratio of densities.

    Arguments:
        good: Densities of the good trials.
        others: Those of the others.
        rng: Where randomness comes from.
        count: Draws per parameter.
    """
    axes, numbers = good.axes, good.numbers(rng, count)
    best = np.argmax(good.masses(numbers) / others.masses(numbers), axis=0)
    found = dict(zip(axes.names, np.take_along_axis(numbers, best[None], 0)[0].tolist(), strict=True))
    for name, chances in good.chances.items():
        drawn = rng.choice(len(chances), size=count, p=chances)
        found[name] = int(drawn[np.argmax((chances / others.chances[name])[drawn])])
    return {name: each.to_external_repr(found[name]) for name, each in axes.distributions.items()}


def _widths(at: Array, low: Array, high: Array) -> Array:
    """Returns how wide each trial's kernels are, with shape (trials, numbers)."""
    if not len(at):
        return at
    order = np.argsort(at, axis=0, kind="stable")
    gaps = np.diff(np.vstack([low, np.take_along_axis(at, order, 0), high]), axis=0)
    gaps[[0, -1]] = gaps[[1, -2]] if len(at) > 1 else gaps[[0, -1]]  # a bound is no neighbour
    found = np.empty_like(at)
    np.put_along_axis(found, order, np.maximum(gaps[:-1], gaps[1:]), 0)
    least = (high - low) / min(NARROWEST, len(at) + 2)
    return np.clip(found, least, high - low)


def _chances(distribution: CategoricalDistribution, made: Sequence[Any]) -> Array:
    """Returns how likely each choice is, with shape (choices,)."""
    counts = np.array([1.0 + sum(each == choice for each in made) for choice in distribution.choices])
    found: Array = counts / counts.sum()
    return found
