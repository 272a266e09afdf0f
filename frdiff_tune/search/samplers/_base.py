"""What every sampler family does: make Optuna's sampler anew for one proposal."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from optuna.samplers import BaseSampler

from frdiff_tune.search.elsewhere import Elsewhere
from frdiff_tune.search.limit import Limit
from frdiff_tune.search.objective import OBJECTIVES
from frdiff_tune.search.volume import FLOOR

if TYPE_CHECKING:
    from frdiff_tune.search.space import Space


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a sampler knows of the one proposal that it is made for, beside the trials so far.

    Arguments:
        space: The study's space.
        study_seed: The study's seed.
        finished: Trials finished so far.
        parallel: Whether other trials are running, whose neighbourhood is to be avoided.
        objectives: What the study makes small or large.
        limits: What it bounds.
        elsewhere: Policies whose quality is known from another machine.
        batch: Pictures per call.
        min_lpips: Mean LPIPS below which nothing is closer.
    """

    space: "Space"
    study_seed: int
    finished: int
    parallel: bool = False
    objectives: tuple[str, ...] = OBJECTIVES
    limits: tuple[Limit, ...] = ()
    elsewhere: tuple[Elsewhere, ...] = ()
    batch: int = 1
    min_lpips: float = FLOOR

    @property
    def seed(self) -> int:
        """A seed of 32 bits that is unrelated for neighbouring proposals."""
        return int(np.random.SeedSequence((self.study_seed, self.finished)).generate_state(1)[0])


class MakeSampler(Protocol):
    """Makes a sampler for the next proposal of a study.

    A sampler lives for one proposal and is seeded by the study's seed and the number of trials finished so far: so a study
    that was stopped proposes exactly what an uninterrupted one would.
    """

    def __call__(self, proposal: Proposal) -> BaseSampler:
        """Returns the sampler.

        Arguments:
            proposal: What is proposed for.
        """
        ...


@contextmanager
def quiet() -> Iterator[None]:
    """Silences Optuna's remarks that a part is experimental, or deprecated for 6.0; what is used is pinned by tests."""
    import warnings

    from optuna.exceptions import ExperimentalWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        warnings.simplefilter("ignore", FutureWarning)
        yield
