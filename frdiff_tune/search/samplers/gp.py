"""Gaussian processes: one smooth model per objective."""

from typing import TYPE_CHECKING

from optuna.samplers import BaseSampler, GPSampler

from frdiff_tune.search.samplers._base import proposal_seed, quiet

if TYPE_CHECKING:
    from frdiff_tune.search.space import Space


def gp(seed: int, finished: int, *, space: "Space", parallel: bool = False) -> BaseSampler:
    """Returns Bayesian optimisation of the expected gain in hypervolume; some seconds per proposal.

    Arguments:
        seed: The study's seed.
        finished: Trials finished so far.
        space: The study's space; makes no difference here.
        parallel: Whether other trials are running; makes no difference here.
    """
    with quiet():
        return GPSampler(seed=proposal_seed(seed, finished), n_startup_trials=10, warn_independent_sampling=False)
