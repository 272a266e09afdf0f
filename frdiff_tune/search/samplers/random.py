"""Random search: what every other sampler has to beat."""

from typing import TYPE_CHECKING

from optuna.samplers import BaseSampler, RandomSampler

from frdiff_tune.search.samplers._base import proposal_seed

if TYPE_CHECKING:
    from frdiff_tune.search.space import Space


def random(seed: int, finished: int, *, space: "Space", parallel: bool = False) -> BaseSampler:
    """Returns uniform draws.

    Arguments:
        seed: The study's seed.
        finished: Trials finished so far.
        space: The study's space; makes no difference here.
        parallel: Whether other trials are running; makes no difference here.
    """
    return RandomSampler(seed=proposal_seed(seed, finished))
