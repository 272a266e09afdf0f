"""Candidates: the policies among which a guided search chooses."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from frdiff_tune.runtime.variable import Variable
from frdiff_tune.search.foresight import EARLY
from frdiff_tune.search.samplers.neighbours import Neighbours
from frdiff_tune.search.space_file import BETWEEN, FITTED, STRENGTH, Params
from frdiff_tune.search.starting import KNOWN_KINDS, starting_points

if TYPE_CHECKING:
    from frdiff_tune.search.space import Space

RUNS, SIZES, NEAR, ANYWHERE = 24, 2, 96, 8
"""Candidates are keyframe sets of least foreseen error, of so many sizes in so many runs each, neighbours of the front, uniform
draws, and the known policies."""
STRENGTHS = (-0.25, 0.0, 0.0, 0.25, 0.5, 1.0)
OWN_RUN = 0.6
"""Chance that a keyframe set of least foreseen error is for the reference's own steps and solver."""
FITTED_RUN = 0.6
"""Chance that such a set is for fitted steps, where the space has them."""
REUSING = 0.3
"""Chance that such a set goes with whatever lam and groups, rather than with jumps alone."""


class Candidates:
    """Draws parameters.

    Arguments:
        space: The study's space.
        rng: Where randomness comes from.
    """

    def __init__(self, space: "Space", rng: np.random.Generator) -> None:
        self.space, self.rng = space, rng
        self.neighbours = Neighbours(space, rng)

    def __call__(self, parents: Sequence[Params]) -> Iterator[dict[str, Any]]:
        """Yields candidates of all kinds.

        Arguments:
            parents: Parameters of the front; empty before anything is measured.
        """
        for _ in range(ANYWHERE):
            yield self._anywhere()
        yield from map(dict, self._known())
        for _ in range(RUNS):
            yield from self._found(self._of(parents) if parents and self.rng.random() < 0.5 else self._anywhere())
        yield from self.near(parents, NEAR)

    def near(self, parents: Sequence[Params], count: int) -> Iterator[dict[str, Any]]:
        """Yields neighbours of some policies."""
        if parents:
            for _ in range(count):
                yield self.neighbours(parents)

    def _known(self) -> Sequence[Params]:
        """Returns the parameters of the known policies of the space, and of the first fitted ones."""
        kept = self.space.foresight.kept
        if KNOWN_KINDS not in kept:
            kinds = (*KNOWN_KINDS, FITTED)
            kept[KNOWN_KINDS] = [point.params for point in starting_points(self.space, kinds=kinds)]
        found: Sequence[Params] = kept[KNOWN_KINDS]
        return found

    def _anywhere(self) -> dict[str, Any]:
        places = self.rng.random(len(self.space.distributions)).tolist()
        return {name: _at(each, place) for (name, each), place in zip(self.space.distributions.items(), places, strict=True)}

    def _found(self, beginning: Params) -> Iterator[dict[str, Any]]:
        """Yields parameters with keyframe sets of least foreseen error, of any size, in one run."""
        space, section, params = self.space, self.space.file, dict(beginning)
        if self.rng.random() > REUSING:
            params |= {f"group.{name}": False for name in section.groups}
            params |= {"mixing": "jump"} if "jump" in section.mixing.families else {}
        fits = space.fitted is not None and self.rng.random() < FITTED_RUN
        if fits:
            params |= {"scheduler": FITTED, BETWEEN: self._of(section.fit.between)}
        elif self.rng.random() < OWN_RUN:
            params |= {"scheduler": space.foresight.errors.own, "num_inference_steps": space.steps[1]}
        variable: Variable = "sample" if fits else params["forecast.variable"]
        early = int(self.rng.integers(len(EARLY)))
        sets = space.foresight.errors.sets(params["num_inference_steps"], params["scheduler"], variable, early)
        least, most = section.keyframes.count
        sizes = [size for size in sets if least <= size <= most] or list(sets)
        for _ in range(SIZES):
            if STRENGTH in params:
                low, high = section.forecast.strength
                params[STRENGTH] = float(np.clip(self._of(STRENGTHS), low, high))
            yield space.with_keyframes(params, list(sets[self._of(sizes)]))

    def _of(self, things: Sequence[Any]) -> Any:  # noqa: ANN401
        return things[int(self.rng.integers(len(things)))]


def _at(distribution: BaseDistribution, place: float) -> Any:  # noqa: ANN401
    """Returns the value of a parameter at a place of its range, from 0 up to and without 1, where draws are even."""
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[int(place * len(distribution.choices))]
    assert isinstance(distribution, (IntDistribution, FloatDistribution))
    low, high, step = distribution.low, distribution.high, distribution.step
    if distribution.log:
        value = low * (high / low) ** place
        return min(round(value), high) if isinstance(distribution, IntDistribution) else min(value, high)
    if step is None:
        return low + place * (high - low)
    value = low + step * int(place * (round((high - low) / step) + 1))
    return value if isinstance(distribution, IntDistribution) else round(value, 9)
