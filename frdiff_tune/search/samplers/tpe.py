"""Tree-structured Parzen estimator: densities of good and of other trials, parameter by parameter."""

from math import ceil
from typing import TYPE_CHECKING

from optuna.samplers import BaseSampler, TPESampler

from frdiff_tune.search.samplers._base import proposal_seed, quiet

if TYPE_CHECKING:
    from frdiff_tune.search.space import Space

STARTUP = 10
"""Random trials before the model; starting points count, so a study with known policies has none."""
CANDIDATES = 32
"""Draws per parameter, of which the best by the ratio of densities is proposed."""


def good_trials(count: int) -> int:
    """Returns how many of ``count`` trials are good: with two objectives they must span a front, not hold one best."""
    return min(ceil(0.2 * count), 25)


def tpe(seed: int, finished: int, *, space: "Space", parallel: bool = False) -> BaseSampler:
    """Returns multi-objective TPE with independent parameters; groups, gaps and the solver act nearly separately.

    Arguments:
        seed: The study's seed.
        finished: Trials finished so far.
        space: The study's space; makes no difference here.
        parallel: Whether other trials are running.

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
            constant_liar=parallel,
            seed=proposal_seed(seed, finished),
        )
