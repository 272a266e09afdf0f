"""Tree-structured Parzen estimator: densities of good and of other trials."""

from collections.abc import Sequence
from math import ceil
from typing import Any, cast

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, TPESampler
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from frdiff_tune.search.samplers._base import Proposal, quiet
from frdiff_tune.search.space import Space

STARTUP = 10
"""Random trials before the model; starting points count, so a study with known policies has none."""
CANDIDATES = 32
"""Draws, of which the best by the ratio of densities is proposed."""
NEAR, OTHERS = 64, 96
"""Of more trials than these together, those nearest to the front make densities, and so many of the others, evenly chosen."""


def good_trials(count: int) -> int:
    """Returns how many of ``count`` trials are good: with two objectives they must span a front, not hold one best."""
    return min(ceil(0.2 * count), 25)


class ThinnedTpe(TPESampler):
    """Optuna's TPE on some of the trials, so that a proposal does not take longer and longer.

    Every trial is a kernel in every parameter's density, and every draw is compared with all of them. How the many trials far
    from the front lie is told as well by a few of them.

    Arguments:
        space: The study's space.
        options: Those of Optuna's TPE.
    """

    def __init__(self, space: Space, **options: Any) -> None:  # noqa: ANN401
        super().__init__(multivariate=True, **options)
        self._distributions = {name: each for name, each in space.distributions.items() if not each.single()}

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Returns the whole space, which Optuna would find by looking at every trial."""
        return self._distributions

    def sample_relative(self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]) -> dict[str, Any]:
        """Returns the parameters of the draw with the best ratio of densities."""
        return super().sample_relative(cast("Study", _Fewer(study)), trial, search_space)


class _Fewer:
    """A study as TPE sees it, with fewer trials."""

    def __init__(self, study: Study) -> None:
        self._study, self._known = study, dict[str, list[FrozenTrial]]()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return getattr(self._study, name)

    def _get_trials(self, **options: Any) -> list[FrozenTrial]:  # noqa: ANN401
        asked = repr(options)
        if asked not in self._known:
            self._known[asked] = thinned(self._study._get_trials(**options), self._study.directions)
        return self._known[asked]


def thinned(trials: Sequence[FrozenTrial], directions: Sequence[StudyDirection]) -> list[FrozenTrial]:
    """Returns the trials that run, those nearest to the front, and of the others so many, evenly chosen; in their order.

    Nearest are those that the fewest trials dominate; one that breaks a limit is dominated by all that break none.

    Arguments:
        trials: Finished and running ones.
        directions: Whether each objective is made small or large.
    """
    able = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    if len(trials) <= NEAR + OTHERS or not able:
        return list(trials)
    signs = [1.0 if direction == StudyDirection.MINIMIZE else -1.0 for direction in directions]
    values = np.array([trial.values for trial in able]) * signs
    kept = np.array([all(excess <= 0 for excess in trial.constraints.values()) for trial in able])
    no_worse = np.logical_and.reduce([column[:, None] <= column for column in values.T])
    better = (no_worse & ~no_worse.T & (kept[:, None] == kept)) | (kept[:, None] & ~kept)
    dominated = better.sum(axis=0)
    near = {able[i].number for i in np.argsort(dominated, kind="stable")[:NEAR]}
    others = [trial for trial in trials if trial.number not in near and trial.state != TrialState.RUNNING]
    some = {others[i].number for i in np.linspace(0, len(others) - 1, OTHERS).round().astype(int)}
    return [trial for trial in trials if trial.state == TrialState.RUNNING or trial.number in near | some]


def tpe(proposal: Proposal) -> BaseSampler:
    """Returns multi-objective TPE with one density for all parameters, on the trials near the front and some others.

    Arguments:
        proposal: What is proposed for.

    References:
        | Multiobjective Tree-Structured Parzen Estimator (Ozaki et al., 2022)
        | https://doi.org/10.1613/jair.1.13188
    """
    with quiet():
        return ThinnedTpe(
            proposal.space,
            n_startup_trials=STARTUP,
            n_ei_candidates=CANDIDATES,
            gamma=good_trials,
            constant_liar=proposal.parallel,
            seed=proposal.seed,
        )
