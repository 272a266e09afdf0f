"""NSGA-II: a population that is sorted by domination, crossed and mutated."""

from typing import TYPE_CHECKING

from optuna.samplers import BaseSampler, NSGAIISampler

from frdiff_tune.search.samplers._base import proposal_seed, quiet
from frdiff_tune.search.samplers.mutation import neighbour_mutation

if TYPE_CHECKING:
    from frdiff_tune.search.space import Space

POPULATION = 16
"""Trials per generation: five generations in the 80 trials of a short study."""
MUTATION = 0.06
"""Chance of each parameter to move: about four of the seventy of a free keyframe set."""


def nsga2(seed: int, finished: int, *, space: "Space", parallel: bool = False) -> BaseSampler:
    """Returns NSGA-II whose numbers mutate to their neighbours; the starting points are its first generation.

    Arguments:
        seed: The study's seed.
        finished: Trials finished so far.
        space: The study's space; makes no difference here.
        parallel: Whether other trials are running; makes no difference here.

    References:
        | A Fast and Elitist Multiobjective Genetic Algorithm: NSGA-II (Deb et al., 2002)
        | https://doi.org/10.1109/4235.996017
    """
    with quiet():
        return NSGAIISampler(
            population_size=POPULATION,
            mutation=neighbour_mutation(),
            mutation_prob=MUTATION,
            seed=proposal_seed(seed, finished),
        )
