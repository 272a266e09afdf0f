"""The sampler that is used unless a study names one."""

from optuna.samplers import BaseSampler

from frdiff_tune.search.samplers._base import Proposal
from frdiff_tune.search.samplers.local import local


def auto(proposal: Proposal) -> BaseSampler:
    """Returns local search: it learns from one good policy, where TPE needs many trials to see which of 70 numbers matter.

    Arguments:
        proposal: What is proposed for.
    """
    return local(proposal)
