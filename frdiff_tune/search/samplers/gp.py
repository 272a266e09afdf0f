"""Gaussian processes: one smooth model per objective."""

from optuna.samplers import BaseSampler, GPSampler

from frdiff_tune.search.samplers._base import Proposal, quiet


def gp(proposal: Proposal) -> BaseSampler:
    """Returns Bayesian optimisation of the expected gain in hypervolume; some seconds per proposal.

    Arguments:
        proposal: What is proposed for.
    """
    with quiet():
        return GPSampler(seed=proposal.seed, n_startup_trials=10, warn_independent_sampling=False)
