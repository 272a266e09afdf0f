"""Local search on the front: a neighbour of something that nothing else beats."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from frdiff_tune.runtime import Capture
from frdiff_tune.search.outcome import what
from frdiff_tune.search.samplers._base import Proposal
from frdiff_tune.search.samplers.moves import crossed, moved
from frdiff_tune.search.samplers.mutation import WIDTH
from frdiff_tune.search.space_file import CAPTURE, STRENGTH, Params

CROSSING = 0.3
"""Chance that a keyframe set is first crossed with that of another one of the front."""
NEAR = 4
"""Sets are crossed with others of at most so many keyframes more or less."""
ELSEWHERE = 0.15
"""Chance that something else is changed: solver, step count, lam, forecast or groups."""
TREND = 0.3
"""Chance that the forecast is changed, its strength or what is fitted; in every second case together with the keyframes."""
LAUNCH = 0.2
"""Chance that only how the network is launched is changed, where a study has more than one way."""
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

    Most neighbours differ in the keyframe set, where a set that is good in one place keeps what makes it good: a keyframe
    slides, leaves, comes or goes elsewhere, or the sets of two policies of about the same size are joined at a step. The
    strength of the forecast moves with it or alone.
    Among the front's members each is as likely. Neighbours that decode to a policy that was tried are drawn again; where
    nothing new is near, the draw is uniform.

    Arguments:
        proposal: What is proposed for.
    """

    def __init__(self, proposal: Proposal) -> None:
        self.space = proposal.space
        self.rng = np.random.default_rng(proposal.seed)
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
        drawn = (self._neighbour(parents) for _ in range(ATTEMPTS))
        return next((neighbour for neighbour in drawn if self._what(neighbour) not in tried), {})

    def _what(self, params: Params) -> tuple[str, Capture]:
        """Returns what parameters measure: the digest of a policy, and how the network is launched."""
        return self.space.decode(params).digest, self.space.capture(params)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:  # noqa: ANN401
        """Returns a uniform draw."""
        return self.random.sample_independent(study, trial, param_name, param_distribution)

    def _neighbour(self, parents: Sequence[Params]) -> dict[str, Any]:
        parent = self._one_of(parents)
        if len(self.space.captures) > 1 and self.rng.random() < LAUNCH:
            return {**parent, CAPTURE: self._near(parent[CAPTURE], self.space.distributions[CAPTURE])}
        if self.rng.random() < ELSEWHERE:
            return self._changed(parent)
        if (self.space.has_strength or self.space.has_fit) and self.rng.random() < TREND:
            parent = self._refitted(parent) if self._fits() else self._trended(parent)
            if self.rng.random() < 0.5:
                return dict(parent)
        return self._rekeyed(parent, parents)

    def _rekeyed(self, parent: Params, parents: Sequence[Params]) -> dict[str, Any]:
        """Returns the parameters with a neighbouring keyframe set."""
        keyframes, T = self.space.keyframes(parent)
        mates = [other for other, length in map(self.space.keyframes, parents) if length == T]
        mates = [other for other in mates if abs(len(other) - len(keyframes)) <= NEAR and other != keyframes]
        if mates and self.rng.random() < CROSSING:
            mate = self._one_of(mates)
            early, late = (keyframes, mate) if self.rng.random() < 0.5 else (mate, keyframes)
            joined = crossed(early, late, T, self.rng)
            return self.space.with_keyframes(parent, joined if self.rng.random() < 0.5 else moved(joined, T, self.rng))
        return self.space.with_keyframes(parent, moved(keyframes, T, self.rng))

    def _trended(self, parent: Params) -> dict[str, Any]:
        """Returns the parameters with another strength of the forecast; a held score is a forecast of strength 0."""
        orders = [order for order in self.space.file.forecast.order if order]
        if not orders:
            return dict(parent)
        own = parent["forecast.order"]
        strength = self._near(parent[STRENGTH] if own else 0.0, self.space.distributions[STRENGTH])
        return {**parent, "forecast.order": own or orders[0], STRENGTH: strength}

    def _fits(self) -> bool:
        """Whether shares of fitted weights are changed, rather than the strength of a trend."""
        return self.space.has_fit and (not self.space.has_strength or self.rng.random() < 0.5)

    def _refitted(self, parent: Params) -> dict[str, Any]:
        """Returns the parameters with another share of fitted weights in one part of the run."""
        name = self._one_of(self.space.file.forecast.fits)
        (low, high), grid = self.space.file.forecast.fit, self.space.file.forecast.fit_grid
        others = [value for value in np.arange(low, high + grid / 2, grid).tolist() if value != parent[name]]
        return {**parent, name: self._one_of(others)} if others else dict(parent)

    def _one_of(self, things: Sequence[Any]) -> Any:  # noqa: ANN401
        return things[int(self.rng.integers(len(things)))]

    def _changed(self, parent: Params) -> dict[str, Any]:
        """Returns the parameters with one changed that is not about keyframes."""
        names = [name for name in self.space.distributions if not name.startswith("keyframes.")]
        name = self._one_of(names)
        return {**parent, name: self._near(parent[name], self.space.distributions[name])}

    def _near(self, value: Any, distribution: Any) -> Any:  # noqa: ANN401
        if isinstance(distribution, CategoricalDistribution):
            others = [choice for choice in distribution.choices if choice != value]
            return self._one_of(others) if others else value
        low, high = distribution.low, distribution.high
        if isinstance(distribution, FloatDistribution) and distribution.log:
            return float(np.clip(value * (high / low) ** (WIDTH * self.rng.normal()), low, high))
        to = float(np.clip(value + WIDTH * (high - low) * self.rng.normal(), low, high))
        if isinstance(distribution, FloatDistribution) and distribution.step is not None:
            return round(low + round((to - low) / distribution.step) * distribution.step, 9)
        return to if isinstance(distribution, FloatDistribution) else round(to)


def _parents(study: Study) -> list[FrozenTrial]:
    """Returns the finished trials that no other within the limits dominates and that are worth it; else all of them."""
    front = study.best_trials or study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return [trial for trial in front if trial.user_attrs["speedup"][0] >= WORTH] or front
