"""NSGA-II: a population that is sorted by domination, crossed and mutated."""

from optuna.samplers import BaseSampler, NSGAIISampler

from frdiff_tune.search.samplers._base import Proposal, quiet
from frdiff_tune.search.samplers.mutation import neighbour_mutation

POPULATION = 16
"""Trials per generation: few, so that a study of some dozens of trials sees more than one."""
MUTATION = 0.06
"""Chance of each parameter to move: about four of the seventy of a free keyframe set."""


def nsga2(proposal: Proposal) -> BaseSampler:
    """Returns NSGA-II whose numbers mutate to their neighbours; the starting points are its first generation.

    Arguments:
        proposal: What is proposed for.

    References:
        | A Fast and Elitist Multiobjective Genetic Algorithm: NSGA-II (Deb et al., 2002)
        | https://doi.org/10.1109/4235.996017
    """
    with quiet():
        return NSGAIISampler(
            population_size=POPULATION,
            mutation=neighbour_mutation(),
            mutation_prob=MUTATION,
            seed=proposal.seed,
        )
