"""Designed sets of policies: all of a space where it is small, else its starting points and draws from it."""

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution

from frdiff_tune.policy import Policy
from frdiff_tune.search.distributions import values_of, vectors
from frdiff_tune.search.space import Space
from frdiff_tune.search.starting import starting_points

MOST_VECTORS = 300_000
"""Parameter vectors of a space that is enumerated at most; many of them write the same policy."""
ATTEMPTS = 20
"""Vectors that are drawn per policy that is wanted, at most."""

Designed = tuple[dict[str, Any], Policy]


def designed(space: Space, count: int | None = None, seed: int = 0) -> Iterator[Designed]:
    """Yields parameters and policies, each policy once.

    A space that can be enumerated comes whole, in shuffled order; of another one its starting points, then uniform draws.

    Arguments:
        space: The space on its pipeline.
        count: Policies at most; None: all of a space that can be enumerated, else as many as ``MOST_VECTORS`` vectors give.
        seed: Decides the order.
    """
    seen: set[str] = set()
    for params in _vectors(space, count, seed):
        if count is not None and len(seen) == count:
            return
        policy = space.decode(params)
        if policy.digest not in seen:
            seen.add(policy.digest)
            yield params, policy


def whole(space: Space) -> bool:
    """Whether ``designed`` can yield every policy of a space."""
    return vectors(space.distributions) <= MOST_VECTORS


def _vectors(space: Space, count: int | None, seed: int) -> Iterator[dict[str, Any]]:
    names = list(space.distributions)
    if whole(space):
        every = list(product(*(values_of(each) or () for each in space.distributions.values())))
        for i in np.random.default_rng(seed).permutation(len(every)):
            yield dict(zip(names, every[i], strict=True))
        return
    yield from (dict(point.params) for point in starting_points(space))
    yield from _drawn(space.distributions, MOST_VECTORS if count is None else ATTEMPTS * count, seed)


def _drawn(distributions: dict[str, BaseDistribution], count: int, seed: int) -> Iterator[dict[str, Any]]:
    """Yields uniform draws from a space."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # a line that a study was made is nobody's concern
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    for _ in range(count):
        yield study.ask(distributions).params
