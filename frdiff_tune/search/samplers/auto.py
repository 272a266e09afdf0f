"""The sampler that is used unless a study names one."""

from typing import TYPE_CHECKING

from optuna.samplers import BaseSampler

from frdiff_tune.search.samplers.local import local

if TYPE_CHECKING:
    from frdiff_tune.search.space import Space


def auto(seed: int, finished: int, *, space: "Space", parallel: bool = False) -> BaseSampler:
    """Returns local search, because it finds more than TPE in as many trials.

    From the same 24 starting points on the embedded class-conditional model (16 cases, one run each, seed 0), the
    hypervolume of what was measured grew by .18 in the next 31 trials of local search, and by .05 in those of TPE.

    Arguments:
        seed: The study's seed.
        finished: Trials finished so far.
        space: The study's space.
        parallel: Whether other trials are running.
    """
    return local(seed, finished, space=space, parallel=parallel)
