"""Brute force: every parameter vector of a finite space, once."""

from collections.abc import Sequence
from typing import Any, cast

from optuna import Study
from optuna.samplers import BaseSampler, BruteForceSampler
from optuna.trial import FrozenTrial, TrialState

from frdiff_tune.errors import StudyError
from frdiff_tune.search.distributions import values_of
from frdiff_tune.search.samplers._base import Proposal, quiet

EXHAUSTED = "frdiff:exhausted"
"""User attribute of a study whose every vector is tried."""


class Enumeration(BruteForceSampler):
    """Optuna's brute force for trials that are asked for and told: the study is marked where ``optimize`` would be stopped."""

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        """Ends a trial, and marks the study after the last one."""
        super().after_trial(cast("Study", _Asked(study)), trial, state, values)


class _Asked:
    """A study of which trials are asked for: Optuna's own can only be stopped within ``optimize``."""

    def __init__(self, study: Study) -> None:
        self._study = study

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return getattr(self._study, name)

    def stop(self) -> None:
        """Marks the study as one that has nothing left to try."""
        self._study.set_user_attr(EXHAUSTED, True)


def brute_force(proposal: Proposal) -> BaseSampler:
    """Returns enumeration in a shuffled order.

    Arguments:
        proposal: What is proposed for.

    Raises:
        StudyError: If the space is not finite.
    """
    endless = [name for name, each in proposal.space.distributions.items() if values_of(each) is None]
    if endless:
        raise StudyError(
            f"`search.sampler` must suit the space but got 'brute_force' and {endless[0]!r} has no end of values. "
            f'Fix its bounds to one value in the space file, or use "auto".'
        )
    with quiet():
        return Enumeration(seed=proposal.study_seed)
