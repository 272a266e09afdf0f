"""The sampler that is used unless a study names one."""

from optuna.samplers import BaseSampler

from frdiff_tune.search.samplers._base import Proposal
from frdiff_tune.search.samplers.local import local


def auto(proposal: Proposal) -> BaseSampler:
    """Returns local search: it proposes neighbours of good policies at once, where TPE first learns a density per parameter.

    Arguments:
        proposal: What is proposed for.
    """
    return local(proposal)
