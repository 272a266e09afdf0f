"""Neighbours of policies that are good: what a local change makes of their parameters."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from optuna.distributions import CategoricalDistribution, FloatDistribution

from frdiff_tune.search.samplers.moves import crossed, moved
from frdiff_tune.search.samplers.mutation import WIDTH
from frdiff_tune.search.space_file import CAPTURE, STRENGTH, Params

if TYPE_CHECKING:
    from frdiff_tune.search.space import Space

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


class Neighbours:
    """Draws neighbours.

    Most differ in the keyframe set, where a set that is good in one place keeps what makes it good: a keyframe slides, leaves,
    comes or goes elsewhere, or the sets of two policies of about the same size are joined at a step. The strength of the
    forecast moves with it or alone.

    Arguments:
        space: The study's space.
        rng: Where randomness comes from.
    """

    def __init__(self, space: "Space", rng: np.random.Generator) -> None:
        self.space, self.rng = space, rng
        self._mates: tuple[Sequence[Params], Sequence[tuple[list[int], int]]] = (), ()

    def __call__(self, parents: Sequence[Params]) -> dict[str, Any]:
        """Returns the parameters of a neighbour of one of some policies, each as likely."""
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
        mates = [other for other, length in self._sets(parents) if length == T]
        mates = [other for other in mates if abs(len(other) - len(keyframes)) <= NEAR and other != keyframes]
        if mates and self.rng.random() < CROSSING:
            mate = self._one_of(mates)
            early, late = (keyframes, mate) if self.rng.random() < 0.5 else (mate, keyframes)
            joined = crossed(early, late, T, self.rng)
            return self.space.with_keyframes(parent, joined if self.rng.random() < 0.5 else moved(joined, T, self.rng))
        return self.space.with_keyframes(parent, moved(keyframes, T, self.rng))

    def _sets(self, parents: Sequence[Params]) -> Sequence[tuple[list[int], int]]:
        """Returns the keyframe sets of policies, and the steps of their runs."""
        if self._mates[0] is not parents:
            self._mates = parents, [self.space.keyframes(each) for each in parents]
        return self._mates[1]

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
