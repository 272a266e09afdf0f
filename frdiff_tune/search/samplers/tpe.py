"""Tree-structured Parzen estimator: densities of good and of other trials, parameter by parameter."""

from math import ceil

from optuna.samplers import BaseSampler, TPESampler

from frdiff_tune.search.samplers._base import Proposal, quiet

STARTUP = 10
"""Random trials before the model; starting points count, so a study with known policies has none."""
CANDIDATES = 32
"""Draws per parameter, of which the best by the ratio of densities is proposed."""


def good_trials(count: int) -> int:
    """Returns how many of ``count`` trials are good: with two objectives they must span a front, not hold one best."""
    return min(ceil(0.2 * count), 25)


def tpe(proposal: Proposal) -> BaseSampler:
    """Returns multi-objective TPE with independent parameters; groups, gaps and the solver act nearly separately.

    Arguments:
        proposal: What is proposed for.

    References:
        | Multiobjective Tree-Structured Parzen Estimator (Ozaki et al., 2022)
        | https://doi.org/10.1613/jair.1.13188
    """
    with quiet():
        return TPESampler(
            n_startup_trials=STARTUP,
            n_ei_candidates=CANDIDATES,
            gamma=good_trials,
            multivariate=False,
            constant_liar=proposal.parallel,
            seed=proposal.seed,
        )
