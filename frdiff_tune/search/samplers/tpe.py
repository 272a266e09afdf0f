"""Tree-structured Parzen estimator: densities of good and of other trials."""

from optuna.samplers import BaseSampler, TPESampler

from frdiff_tune.search.samplers._base import Proposal, quiet

STARTUP = 10
"""Random trials before the model; starting points count, so a study with known policies has none."""


def tpe(proposal: Proposal) -> BaseSampler:
    """Returns Optuna's multi-objective TPE, with a density per parameter.

    Arguments:
        proposal: What is proposed for.

    References:
        | Multiobjective Tree-Structured Parzen Estimator (Ozaki et al., 2022)
        | https://doi.org/10.1613/jair.1.13188
    """
    with quiet():
        return TPESampler(n_startup_trials=STARTUP, constant_liar=proposal.parallel, seed=proposal.seed)
