"""The sampler that is used unless a study names one."""

from optuna.samplers import BaseSampler

from frdiff_tune.search.samplers._base import Proposal
from frdiff_tune.search.samplers.guided import guided


def auto(proposal: Proposal) -> BaseSampler:
    """Returns guided search.

    Arguments:
        proposal: What is proposed for.
    """
    return guided(proposal)
