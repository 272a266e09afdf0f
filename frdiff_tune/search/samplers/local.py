"""Local search on the front: a neighbour of something that nothing else beats."""

from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import Study
from optuna.study._multi_objective import _get_pareto_front_trials_by_trials
from optuna.trial import FrozenTrial, TrialState

from frdiff_tune.runtime import Capture
from frdiff_tune.search.outcome import what
from frdiff_tune.search.samplers._base import Proposal
from frdiff_tune.search.samplers.neighbours import Neighbours
from frdiff_tune.search.space_file import Params

WORTH = 1.2
"""Speed-up that a policy must have to be changed further: beside the full run there is little to find."""
ATTEMPTS = 200
"""Neighbours that are drawn until one is new; then the draw is uniform."""


def local(proposal: Proposal) -> BaseSampler:
    """Returns Pareto local search with crossing; as long as nothing was measured it draws uniformly.

    Arguments:
        proposal: What is proposed for; what other running trials try is not proposed again.

    References:
        | Pareto Local Optimum Sets in the Biobjective Traveling Salesman Problem: An Experimental Study
        | (Paquete et al., 2004), https://doi.org/10.1007/978-3-642-17144-4_7
    """
    return LocalSampler(proposal)


class LocalSampler(BaseSampler):
    """Proposes a neighbour of a measured policy that no other one within the limits beats.

    Among the front's members each is as likely. Neighbours that decode to a policy that was tried are drawn again; where
    nothing new is near, the draw is uniform.

    Arguments:
        proposal: What is proposed for.
    """

    def __init__(self, proposal: Proposal) -> None:
        self.space = proposal.space
        self.neighbours = Neighbours(proposal.space, np.random.default_rng(proposal.seed))
        self.random = RandomSampler(seed=proposal.seed)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Returns the whole space."""
        return self.space.distributions

    def sample_relative(self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]) -> dict[str, Any]:
        """Returns the parameters of a new neighbour; nothing where they are given, or there is none."""
        if trial.system_attrs.get("fixed_params"):
            return {}
        parents = [other.params for other in _parents(study)]
        if not parents:
            return {}
        running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        asked = [other.params for other in running if other.params.keys() == search_space.keys()]
        tried = {what(other) for other in study.get_trials(deepcopy=False) if "digest" in other.user_attrs}
        tried |= {self._what(params) for params in asked}
        drawn = (self.neighbours(parents) for _ in range(ATTEMPTS))
        return next((neighbour for neighbour in drawn if self._what(neighbour) not in tried), {})

    def _what(self, params: Params) -> tuple[str, Capture]:
        """Returns what parameters measure: the digest of a policy, and how the network is launched."""
        return self.space.decode(params).digest, self.space.capture(params)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:  # noqa: ANN401
        """Returns a uniform draw."""
        return self.random.sample_independent(study, trial, param_name, param_distribution)


def _parents(study: Study) -> list[FrozenTrial]:
    """Returns the finished trials that no other within the limits dominates and that are worth it; else all of them.

    Optuna's own ``best_trials`` copies every trial first: more than a second after a thousand.
    """
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    front = _get_pareto_front_trials_by_trials(complete, study.directions, consider_constraint=True) or complete
    return [trial for trial in front if trial.user_attrs["speedup"][0] >= WORTH] or front
