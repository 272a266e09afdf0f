"""Random search: what every other sampler has to beat."""

from optuna.samplers import BaseSampler, RandomSampler

from frdiff_tune.search.samplers._base import proposal_seed


def random(seed: int, finished: int, *, parallel: bool = False) -> BaseSampler:
    """Returns uniform draws.

    Arguments:
        seed: The study's seed.
        finished: Trials finished so far.
        parallel: Whether other trials are running; makes no difference here.
    """
    return RandomSampler(seed=proposal_seed(seed, finished))
