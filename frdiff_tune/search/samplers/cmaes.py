"""CMA-ES: a normal distribution whose covariance follows the best steps; for one objective."""

from collections.abc import Sequence
from copy import copy

from optuna import Study
from optuna.samplers import BaseSampler, CmaEsSampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from frdiff_tune.search.samplers._base import Proposal, quiet


class LimitedCmaEs(CmaEsSampler):
    """Optuna's CMA-ES, which knows no constraints, with Deb's order of trials.

    Of two trials that keep the limits the better one comes first; one that keeps them comes before one that does not; of two
    that break limits the one that breaks them by less, in parts of the bounds, comes first. CMA-ES looks at nothing but order.

    Arguments:
        bounds: Limit, as a study writes it -> its bound.
        seed: Seed of the proposal.

    References:
        | An Efficient Constraint Handling Method for Genetic Algorithms (Deb, 2000), section 3
    """

    def __init__(self, bounds: dict[str, float], seed: int) -> None:
        super().__init__(seed=seed, n_startup_trials=1, warn_independent_sampling=False)
        self._bounds = bounds

    def _get_trials(self, study: Study) -> list[FrozenTrial]:
        trials = super()._get_trials(study)
        sign = 1.0 if study.direction == StudyDirection.MINIMIZE else -1.0
        excess = [self._excess(trial) for trial in trials]
        worst = max((sign * trial.values[0] for trial, each in zip(trials, excess, strict=True) if not each), default=0.0)
        return [_valued(trial, sign * (worst + each)) if each else trial for trial, each in zip(trials, excess, strict=True)]

    def _excess(self, trial: FrozenTrial) -> float:
        return sum(max(0.0, trial.constraints.get(name, 0.0)) / (abs(bound) or 1.0) for name, bound in self._bounds.items())

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        """Ends a trial; Optuna's own would warn that it does not look at constraints."""
        self._independent_sampler.after_trial(study, trial, state, values)


def _valued(trial: FrozenTrial, value: float) -> FrozenTrial:
    other = copy(trial)
    other.values = [value]
    return other


def cmaes(proposal: Proposal) -> BaseSampler:
    """Returns CMA-ES over the numbers of a space; what is no number is drawn uniformly.

    Arguments:
        proposal: What is proposed for.

    References:
        | The CMA Evolution Strategy: A Tutorial (Hansen, 2016), https://arxiv.org/abs/1604.00772
    """
    with quiet():
        return LimitedCmaEs({str(limit): limit.bound for limit in proposal.limits}, proposal.seed)
