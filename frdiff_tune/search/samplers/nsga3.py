"""NSGA-III: as NSGA-II, kept spread by reference directions."""

from optuna.samplers import BaseSampler, NSGAIIISampler

from frdiff_tune.search.samplers._base import Proposal, quiet
from frdiff_tune.search.samplers.mutation import neighbour_mutation
from frdiff_tune.search.samplers.nsga2 import MUTATION, POPULATION

DIVISIONS = POPULATION - 1
"""Of the line between two objectives: one direction per member of the population."""


def nsga3(proposal: Proposal) -> BaseSampler:
    """Returns NSGA-III whose numbers mutate to their neighbours.

    Arguments:
        proposal: What is proposed for.

    References:
        | An Evolutionary Many-Objective Optimization Algorithm Using Reference-Point-Based Nondominated Sorting Approach
        | (Deb and Jain, 2014), https://doi.org/10.1109/TEVC.2013.2281535
    """
    with quiet():
        return NSGAIIISampler(
            population_size=POPULATION,
            mutation=neighbour_mutation(),
            mutation_prob=MUTATION,
            dividing_parameter=DIVISIONS,
            seed=proposal.seed,
        )
