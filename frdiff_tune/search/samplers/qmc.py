"""Quasi-random search: draws that fill the space evenly."""

from typing import TYPE_CHECKING

from optuna.samplers import BaseSampler, QMCSampler

from frdiff_tune.search.samplers._base import quiet

if TYPE_CHECKING:
    from frdiff_tune.search.space import Space


def qmc(seed: int, finished: int, *, space: "Space", parallel: bool = False) -> BaseSampler:
    """Returns a scrambled Sobol sequence; which point comes next is kept in the storage.

    Arguments:
        seed: The study's seed, that of the whole sequence.
        finished: Trials finished so far; makes no difference here.
        space: The study's space; makes no difference here.
        parallel: Whether other trials are running; makes no difference here.
    """
    with quiet():
        return QMCSampler(
            qmc_type="sobol", scramble=True, seed=seed, warn_independent_sampling=False, warn_asynchronous_seeding=False
        )
