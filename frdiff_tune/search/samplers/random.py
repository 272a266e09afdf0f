"""Random search: what every other sampler has to beat."""

from optuna.samplers import BaseSampler, RandomSampler

from frdiff_tune.search.samplers._base import Proposal


def random(proposal: Proposal) -> BaseSampler:
    """Returns uniform draws.

    Arguments:
        proposal: What is proposed for.
    """
    return RandomSampler(seed=proposal.seed)
