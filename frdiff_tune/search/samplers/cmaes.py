"""CMA-ES: a normal distribution whose covariance follows the best steps; for one objective."""

from optuna.samplers import BaseSampler, CmaEsSampler

from frdiff_tune.search.samplers._base import Proposal, quiet


def cmaes(proposal: Proposal) -> BaseSampler:
    """Returns CMA-ES over the numbers of a space; what is no number is drawn uniformly.

    Arguments:
        proposal: What is proposed for.

    References:
        | The CMA Evolution Strategy: A Tutorial (Hansen, 2016), https://arxiv.org/abs/1604.00772
    """
    with quiet():
        return CmaEsSampler(seed=proposal.seed, n_startup_trials=1, warn_independent_sampling=False)
