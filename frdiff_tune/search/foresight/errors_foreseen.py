"""The errors of a policy, foreseen from recorded full runs, without a network call.

Where a policy does something else than compute, the sample ends up elsewhere. Six kinds of that are told apart:

    jump      a forecast score stands in, in the first, second or last third of the run:
              r[t] = (1 - lam[t]) (sum_k w[t, k] z[s_k] - z[t])
    fit       fitted weights in the last third: the same r, times their share. A run that has left its way is not what
              they were fitted to
    fitted    steps of the reference that fitted steps do not walk: the same r of held clean samples, in each third
    group     features are kept; they change as the score does:  r[t] = lam[t] (z[s_0] - z[t])
    steps     the reference's solver with fewer steps:  T_reference / T - 1
    solver    another solver:  T_reference / T

with s_k the last keyframes before t, newest first, and z the scores of a full run. From keyframe k to the next one, n, the
sample is off by

    e[k] = sum_{k < t < n} c[t] r[t],    error = (sum_k E |e[k]|^2)^(1/2)

with c as in ``dynamic``, for three answers to how much early errors count, and each k in the third where it lies. All is in
decades: log10 of the error.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import log10
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from frdiff_tune.policy.forecast import lagrange_weights
from frdiff_tune.runtime.recording import weights_between
from frdiff_tune.runtime.variable import Variable
from frdiff_tune.search.dynamic import best_sets, costs_between, step_weights
from frdiff_tune.search.forecasts import HOLD
from frdiff_tune.search.foresight.error_sums import LEAST, Walk, decades, segment_errors, total_error
from frdiff_tune.search.foresight.outline import Outline
from frdiff_tune.search.intervals import computing
from frdiff_tune.search.jump_error import levels_at
from frdiff_tune.search.space_file import FITTED

if TYPE_CHECKING:
    from frdiff_tune.search.space import Space

Array = NDArray[np.float64]

JUMPS = ("jump early", "jump middle", "jump late")
"""What forecast scores make, by thirds of the run."""
FITTED_JUMPS = ("fitted early", "fitted middle", "fitted late")
"""What is left of that where the weights of the steps are solved for."""
EARLY = (0.5, 1.0, 1.5)
"""How much errors of noisy steps count: less than, as, and more than if the network did not react."""
SHAPE = (
    "jump", "reuse", "nfe", "keyframes", "jump if early counts less", "jump if early counts more",
    "reuse if early counts less", "reuse if early counts more", "strength", "share", "share of jump", "order", "last gap",
    "longest gap",
)  # fmt: skip
"""Traits of keyframes, lam and forecast, in decades but for strength, share and order."""
SCALES = {
    **dict(zip(SHAPE, (1.34, 0.66, 4.84, 2.31, 3.79, 3.11, 2.37, 1.92, 0.63, 0.98, 0.1, 0.19, 1.3, 1.82), strict=True)),
    "ratio": 4.65, "group": 0.49, "solver": 1.23, "variable": 0.7, "feature": 0.7,
}  # fmt: skip
"""Kind of trait -> what it is multiplied with, so that 1 is far: ``benchmarks.priors`` fits them to recorded tables. Those
have one variable and one forecast of features, so the scales of these two are guessed."""
NOTHING = 1e-9
"""Of scores' variance, what a direction may have less of to be left out."""
KEPT = 2**14
"""Policies whose errors are kept: a proposal asks for those of some hundreds."""
NEAR = 0.3
"""Without recorded runs scores are taken to be related as far as this part of the run, by a Gaussian."""


@dataclass(frozen=True, slots=True)
class Foreseen:
    """The errors of one policy.

    Arguments:
        sources: log10 of the error of each of ``ErrorSources.names``; -inf where there is none of it.
        traits: What else tells policies apart, each on a scale on which 1 is far.
    """

    sources: tuple[float, ...]
    traits: tuple[float, ...]


class ErrorSources:
    """Foresees errors of a space's policies; what it has foreseen last it keeps.

    Arguments:
        space: The space on its pipeline; its recorded full runs are read, if it has any.

    Attributes:
        names: Of the sources.
        traits: Kind of every trait, a key of ``SCALES``.
    """

    def __init__(self, space: "Space") -> None:
        self.space = space
        self.own = _own_label(space)
        self.solvers = tuple(label for label in space.schedulers if label not in (self.own, FITTED))
        self.fits = (FITTED,) if FITTED in space.schedulers else ()
        groups, solvers = (f"group {g}" for g in space.groups), (f"solver {label}" for label in self.solvers)
        self.names = (*JUMPS, "fit late", *groups, "steps", *solvers, *(FITTED_JUMPS if self.fits else ()))
        self.forecasts = tuple(name for name in space.file.forecast.features if name != HOLD)
        chosen = {"group": space.groups, "solver": (*self.solvers, *self.fits), "variable": space.variables[1:]}
        chosen["feature"] = self.forecasts
        self.traits = (*SHAPE, "ratio", *(kind for kind, names in chosen.items() for _ in names))
        self.scales = np.array([SCALES[kind] for kind in self.traits])
        self._recorded: dict[Variable, Array] = {}
        self._walks: dict[tuple[str, int, Variable], Walk] = {}
        self._kept = lru_cache(maxsize=KEPT)(self._foreseen)
        self._sets: dict[tuple[int, str, Variable, int], dict[int, tuple[int, ...]]] = {}

    def __call__(self, outline: Outline) -> Foreseen:
        """Returns the errors of a policy."""
        return self._kept(outline)

    def sets(self, steps: int, scheduler: str, variable: Variable, early: int) -> dict[int, tuple[int, ...]]:
        """Returns the keyframe sets of least error where held scores stand in: size -> keyframes, step 0 first.

        Arguments:
            steps: Step count of the call.
            scheduler: Label of the solver.
            variable: What scores are stored as.
            early: Which of ``EARLY``, from 0 on.
        """
        key = steps, scheduler, variable, early
        if key not in self._sets:
            T = self.space.full(steps, scheduler).T
            walk = self._walk(Outline(scheduler, steps, (0,), (1.0,) * T, variable=variable))
            self._sets[key] = best_sets(costs_between(walk.gram, walk.c[early]), T)
        return self._sets[key]

    def jump_error(self, outline: Outline) -> float:
        """Returns log10 of what a policy's forecast scores make in all."""
        return float(total_error(self._jump(outline))[1])

    def _foreseen(self, outline: Outline) -> Foreseen:
        by_third, by_interval = self._jump(outline), {every: self._reuse(outline, every) for every in set(outline.every)}
        by_group = {g: by_interval[every] for g, every in zip(outline.groups, outline.every, strict=True)}
        nothing = np.full(len(EARLY), log10(LEAST))
        reuse = np.max([nothing, *by_group.values()], axis=0)
        ratio = self.space.full(self.space.reference_steps, outline.scheduler).T / outline.T
        groups = [by_group[g][1] if g in by_group else -np.inf for g in self.space.groups]
        steps = log10(ratio - 1) if ratio > 1 and outline.scheduler == self.own else -np.inf
        solvers = [log10(ratio) if label == outline.scheduler else -np.inf for label in self.solvers]
        thirds = [decades(each) if each else -np.inf for each in by_third[1]]
        share = outline.shares[-1] if outline.shares else 0.0
        sources = (thirds[-1] + log10(share) if share else -np.inf, *groups, steps, *solvers)
        nothing_of = (-np.inf,) * len(JUMPS)
        fitted = outline.scheduler in self.fits
        jumped = (*nothing_of, *sources, *thirds) if fitted else (*thirds, *sources, *(nothing_of if self.fits else ()))
        traits = np.array((*self._shape(outline, total_error(by_third), reuse), *self._choices(outline, ratio)))
        return Foreseen(jumped, tuple((traits * self.scales).tolist()))

    def _jump(self, outline: Outline) -> Array:
        """Returns what forecast scores make, for every weight of early steps and by thirds of the run, with shape (3, 3)."""
        walk = self._walk(outline)
        moved = _held(outline.keyframes, walk.scores)
        if outline.jumps and outline.order:
            moved = moved + outline.strength * _trend(walk, outline)
        return segment_errors(moved * (1 - np.array(outline.mixing))[:, None], outline.keyframes, walk)

    def _reuse(self, outline: Outline, every: int) -> Array:
        """Returns log10 of what groups make that keep their features, for every weight of early steps, with shape (3,).

        Arguments:
            outline: The policy's.
            every: At every how many steps they compute between keyframes; 0 not at all.
        """
        walk, computes = self._walk(outline), computing(outline.keyframes, outline.T, every)
        return total_error(segment_errors(_held(computes, walk.scores) * np.array(outline.mixing)[:, None], computes, walk))

    def _walk(self, outline: Outline) -> Walk:
        variable: Variable = outline.variable or self.space.variables[0]
        key = outline.scheduler, outline.steps, variable
        if key not in self._walks:
            seen, T = self.space.trajectory, outline.T
            times = self.space.times(self.space.full(outline.steps, outline.scheduler), outline.scheduler)
            scores, c = self._scores(variable, times), np.full((len(EARLY), T), 1 / T)
            if seen is not None and seen.levels:
                levels = levels_at(seen, times)
                c = np.stack([step_weights(levels, seen.prediction, variable, early) for early in EARLY])
            self._walks[key] = Walk(times, scores @ scores.T, scores, c)
        return self._walks[key]

    def _scores(self, variable: Variable, times: Sequence[float]) -> Array:
        """Returns vectors with the products of a walk's scores, with shape (T, rank); between recorded steps they are read."""
        seen = self.space.trajectory
        if seen is None or not (seen.levels or variable == "output"):
            return _vectors(_supposed(len(times)))
        if variable not in self._recorded:
            self._recorded[variable] = _vectors(seen.gram(variable).mean(0))
        recorded = self._recorded[variable]
        return recorded if tuple(times) == seen.times else weights_between(seen.times, times) @ recorded

    def _shape(self, outline: Outline, jump: Array, reuse: Array) -> tuple[float, ...]:
        """Returns traits of keyframes, lam and forecast, in the order of ``SHAPE``."""
        share = sum(outline.shares) / max(len(outline.shares), 1)
        main = jump[1], reuse[1], log10(outline.nfe / outline.T), log10(len(outline.keyframes) / outline.T)
        early = jump[0] - jump[1], jump[2] - jump[1], reuse[0] - reuse[1], reuse[2] - reuse[1]
        trend = outline.strength, share, share * (jump[1] + 1), outline.order
        gaps = np.diff((*outline.keyframes, outline.T))
        return (*main, *early, *trend, log10(gaps[-1]), log10(gaps.max()))

    def _choices(self, outline: Outline, ratio: float) -> tuple[float, ...]:
        """Returns traits of what is chosen: one per name, 1 where it is."""
        groups = [float(g in outline.groups) for g in self.space.groups]
        solvers = [float(label == outline.scheduler) for label in (*self.solvers, *self.fits)]
        variables = [float(name == outline.variable) for name in self.space.variables[1:]]
        features = [float(name == outline.features) for name in self.forecasts]
        return (log10(ratio), *groups, *solvers, *variables, *features)


def _own_label(space: "Space") -> str:
    from frdiff_tune.search.starting import own_scheduler

    return own_scheduler(space)


def _held(steps: Sequence[int], scores: Array) -> Array:
    """Returns z[s_0] - z[t], where s_0 is the last of ``steps`` up to t, with shape (T, rank)."""
    known, every = np.array(steps), np.arange(len(scores))
    found: Array = scores[known[np.searchsorted(known, every, side="right") - 1]] - scores
    return found


def _vectors(gram: Array) -> Array:
    """Returns vectors of which a matrix holds the products, with shape (T, rank)."""
    sizes, axes = np.linalg.eigh(gram)
    there = sizes > NOTHING * sizes[-1]
    found: Array = axes[:, there] * np.sqrt(sizes[there])
    return found


def _supposed(T: int) -> Array:
    """Returns how scores would be related if they only changed at one pace, with shape (T, T)."""
    apart = (np.arange(T)[:, None] - np.arange(T)) / T / NEAR
    found: Array = np.exp(-(apart**2) / 2)
    return found


def _trend(walk: Walk, outline: Outline) -> Array:
    """Returns how extrapolated scores differ from held ones, at strength 1, with shape (T, rank)."""
    times, scores, found = walk.times, walk.scores, np.zeros_like(walk.scores)
    if len(set(times)) < len(times):
        for t, row in enumerate(lagrange_weights(times, outline.keyframes, outline.order)):
            if row:
                kept = [k for k in outline.keyframes if k < t][::-1]
                found[t] = np.array(row) @ scores[kept[: len(row)]] - scores[kept[0]]
        return found
    keyframes, at = np.array(outline.keyframes), np.array(times)
    place = np.searchsorted(keyframes, np.arange(outline.T), side="right") - 1
    jumps = np.ones(outline.T, dtype=bool)
    jumps[keyframes] = False
    for nodes in range(2, outline.order + 2):  # as many keyframes as there are, up to the order's
        steps = np.flatnonzero(jumps & (place >= nodes - 1 if nodes == outline.order + 1 else place == nodes - 1))
        kept, own = keyframes[place[steps, None] - np.arange(nodes)], np.eye(nodes, dtype=bool)
        apart = np.where(own, 1.0, at[kept][:, :, None] - at[kept][:, None, :])
        ahead = np.where(own, 1.0, (at[steps, None] - at[kept])[:, None, :])
        weights = (ahead / apart).prod(axis=2)
        found[steps] = (weights[:, None, :] @ scores[kept])[:, 0] - scores[kept[:, 0]]
    return found
