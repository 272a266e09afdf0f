"""The part of a space that fits weights: keyframes are the full steps of a part of the reference's walk."""

import copy
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution

from frdiff_tune.errors import MeasureError, MismatchError
from frdiff_tune.measure import Case, shuffled
from frdiff_tune.measure.bench import Bench
from frdiff_tune.policy import Policy
from frdiff_tune.runtime.holder import own_scheduler
from frdiff_tune.runtime.schedulers import read_grid
from frdiff_tune.runtime.solver import walk as set_and_list
from frdiff_tune.search.distributions import first_value
from frdiff_tune.search.fitting import CaseFit, FitOptions
from frdiff_tune.search.fitting.grid_search import GridSearch
from frdiff_tune.search.fitting.grids import Grid, cosine, spread
from frdiff_tune.search.fitting.schedule import FittedSchedule, first_order_policy, schedule_of
from frdiff_tune.search.grouping import Sites
from frdiff_tune.search.space_file import BETWEEN, FITTED, FitSection, Params

if TYPE_CHECKING:
    from frdiff_tune.search.space import Space

GAIN = 0.97
"""A schedule must be nearer than every measured one of its kind by this factor to be measured as well."""


class FittedPart:
    """Policies whose scheduler is ``fitted``.

    Arguments:
        fit: What solves for the weights.
        section: Reuse steps between two full ones, and how many schedules are fitted per proposal.
        T: Steps of the reference's walk.
    """

    def __init__(self, fit: CaseFit, section: FitSection, T: int) -> None:
        self.fit, self.between, self.tries, self.T = fit, section.between, section.tries, T
        self._searches: dict[tuple[int, tuple[str, ...]], GridSearch] = {}

    @property
    def distributions(self) -> dict[str, BaseDistribution]:
        """The parameters that only this part has."""
        return {BETWEEN: CategoricalDistribution(self.between)}

    def schedule(self, params: Params, keyframes: Sequence[int], groups: Mapping[str, Sites]) -> FittedSchedule:
        """Returns the schedule that parameters write.

        Arguments:
            params: A value per parameter of the space.
            keyframes: The full steps.
            groups: What reuses at steps between them; without groups there are none.
        """
        return FittedSchedule.of(keyframes, params[BETWEEN] if groups else 0, self.T)

    def decode(self, params: Params, keyframes: Sequence[int], groups: Mapping[str, Sites]) -> Policy:
        """Returns the fitted policy, from the disk if it was fitted before; see ``schedule`` for the arguments."""
        return self.fit.fitted(self._unfitted(params, keyframes, groups))

    def quick_error(self, params: Params, keyframes: Sequence[int], groups: Mapping[str, Sites]) -> float:
        """Returns the latent error on a few cases, inf where a state is not finite; see ``schedule`` for the arguments."""
        try:
            return self.fit.quick_error(self._unfitted(params, keyframes, groups))
        except MeasureError:
            return float("inf")

    def _unfitted(self, params: Params, keyframes: Sequence[int], groups: Mapping[str, Sites]) -> Policy:
        schedule = self.schedule(params, keyframes, groups)
        return first_order_policy(self.fit, schedule, groups if schedule.steps != schedule.full else {})

    def grid_search(self, between: int, groups: Sequence[str], error: Callable[[Grid], float]) -> GridSearch:
        """Returns the search over full steps with some reuse steps between them, which goes on from proposal to proposal.

        Arguments:
            between: Reuse steps between two full ones.
            groups: What reuses there.
            error: Returns the latent error of the policy that some full steps write.
        """
        kind = between, tuple(groups) if between else ()
        return self._searches.setdefault(kind, GridSearch(error, self.T))

    def identity(self, params: Params, keyframes: Sequence[int], groups: Mapping[str, Sites]) -> str:
        """Returns what is equal for parameters that write the same policy, without fitting it."""
        schedule = self.schedule(params, keyframes, groups)
        return f"{FITTED} {schedule.steps} {schedule.full} {sorted(groups) if schedule.steps != schedule.full else ''}"

    def encode(self, policy: Policy, known: Sequence[str]) -> tuple[tuple[int, ...], dict[str, Any]] | None:
        """Returns the full steps of a policy, and the parameters beside them; None if no parameters write it.

        Arguments:
            policy: The policy.
            known: Names of the space's groups.
        """
        written = schedule_of(policy, self.between)
        if written is None or not set(policy.masks) <= set(known):
            return None
        schedule, between = written
        groups = {f"group.{name}": name in policy.masks for name in known}
        return schedule.full, {"scheduler": FITTED, BETWEEN: between, **groups}


def encode_fitted(space: "Space", policy: Policy) -> dict[str, Any] | None:
    """Returns parameters of a fitted policy, or None if it lies outside the space; what they leave idle has its first value."""
    written = None if space.fitted is None else space.fitted.encode(policy, tuple(space.groups))
    if written is None or policy.sampling.grid is None:
        return None
    keyframes, own = written
    idle = {name: first_value(each) for name, each in space.distributions.items()}
    gaps = space.gaps(list(keyframes), policy.sampling.grid.T)
    params = {**idle, **gaps, "keyframes.encoding": space.freest_encoding, **own}
    return params if space.holds(params) and space.decode(params).digest == policy.digest else None


def nearest_fitted(
    space: "Space", params: Params, measured: Callable[[Params], bool], tries: int
) -> dict[str, Any] | None:
    """Returns parameters with as many full steps whose policy comes nearest by latent error.

    So a latent error on a few cases chooses among the neighbours of a proposal, before images are drawn. The search goes on at
    the next proposal with as many steps. None where nothing is nearer than what was measured.

    Arguments:
        space: The study's space.
        params: A proposal of fitted steps.
        measured: Whether the policy of parameters was measured, or is being measured.
        tries: Neighbours that are fitted at most; 0: only those of earlier proposals are looked at.
    """
    part = space.fitted
    assert part is not None, "the proposal is fitted"
    keyframes, groups = space.keyframes(params)[0], space.reusing(params)
    if len(keyframes) >= part.T:
        return dict(params)

    def error(grid: Grid) -> float:
        written = space.with_keyframes(params, list(grid))
        if tuple(space.keyframes(written)[0]) != grid:  # out of the space's bounds
            return float("inf")
        return part.quick_error(written, grid, groups)

    search = part.grid_search(params[BETWEEN] if groups else 0, tuple(groups), error)
    count = len(keyframes)
    starts = [tuple(keyframes), spread(cosine(count, part.T), part.T), *search.of_other_sizes(count)]
    for _ in search.improve(starts, tries):
        pass
    nearest = search.nearest(count)
    if not nearest:
        return None
    best = min((search.errors[grid] for grid in nearest if measured(space.with_keyframes(params, list(grid)))), default=np.inf)
    return space.with_keyframes(params, list(nearest[0])) if search.errors[nearest[0]] < GAIN * best else None


def fit_refusal(pipe: Any, steps: int, call: Mapping[str, Any]) -> str:  # noqa: ANN401
    """Returns why no weights can be fitted to a pipeline's full runs; empty where they can.

    Arguments:
        pipe: A diffusers pipeline.
        steps: The reference's ``num_inference_steps``.
        call: Arguments that are the same for all cases.
    """
    scheduler = copy.deepcopy(own_scheduler(pipe))
    try:
        set_and_list(scheduler, steps)
        read_grid(scheduler)
    except MismatchError as error:
        return str(error)
    return f"`eta` must be 0 where weights are fitted but got {call['eta']}." if call.get("eta") else ""


def make_fit(
    bench: Bench,
    cases: Sequence[Case],
    section: FitSection,
    *,
    steps: int,
    call: Mapping[str, Any],
    folder: Path,
    batch: int,
) -> CaseFit | None:
    """Returns what solves for a study's weights; None, with a warning, where the reference cannot be fitted.

    Arguments:
        bench: Holds the pipeline.
        cases: The study's search cases.
        section: How to fit.
        steps: The reference's ``num_inference_steps``.
        call: Arguments that are the same for all cases.
        folder: Where the reference's states are kept.
        batch: Cases per call.
    """
    refusal = fit_refusal(bench.pipe, steps, call)
    if refusal:
        message = f"No steps are fitted: {refusal} The search goes on with the other schedulers of the space."
        warnings.warn(message, stacklevel=2)
        return None
    options = FitOptions(memory=section.memory, ridge=section.ridge)
    chosen = shuffled(cases)[: section.cases]
    if len(chosen) <= options.unknowns:
        warnings.warn(
            f"No steps are fitted: `cases` must be more than the {options.unknowns} weights of a step but got {len(chosen)}. "
            f"The search goes on with the other schedulers of the space; give more search cases.",
            stacklevel=2,
        )
        return None
    return CaseFit(bench, chosen, steps=steps, call=call, folder=folder, batch=batch, options=options)
