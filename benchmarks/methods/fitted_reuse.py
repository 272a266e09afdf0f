"""Ours with reuse: between the full steps of a searched grid stand steps that compute a part of the network."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from benchmarks.methods._base import Method, Setting, key_of
from benchmarks.methods.fitted_steps import SHELF, case_fit
from frdiff_tune.measure.bench import Bench, Contender
from frdiff_tune.measure.case import call_arguments
from frdiff_tune.measure.profile_steps import operations
from frdiff_tune.measure.references import stored
from frdiff_tune.policy import Policy
from frdiff_tune.runtime import keyframe_policy
from frdiff_tune.search.fitting import CaseFit, FitOptions, drain
from frdiff_tune.search.fitting.grid_search import GridSearch
from frdiff_tune.search.fitting.grids import Grid, starting_grids
from frdiff_tune.search.fitting.schedule import FittedSchedule
from frdiff_tune.search.setting import cache_folder
from frdiff_tune.search.study import Study

GROUPS: tuple[tuple[str, ...], ...] = (("deep",), ("deep", "shallow"), ("attention",), ("block",))
"""Groups that reuse together, where a space has them."""
BETWEEN = (1, 2)
"""Reuse steps between two full ones."""
ROUNDING = 0.1
"""Network calls by which a setting may cost more than was asked for."""


@dataclass(frozen=True)
class FittedReuse(Method):
    """Full steps and evenly spread reuse steps between them; groups, reuse steps and full steps are searched by latent error.

    A reuse step costs its share of a full step's floating-point operations.

    Arguments:
        tries: Schedules that are fitted at each number of calls.
        cases: Search cases that a schedule is searched with.
        fit_cases: Search cases that the chosen schedule is fitted on.
        options: How to fit.
    """

    tries: int = 60
    cases: int = 48
    fit_cases: int = 96
    options: FitOptions = field(default_factory=FitOptions)
    shares: dict[tuple[str, ...], float] = field(default_factory=dict, compare=False)

    def policies(self, pipe: Any, study: Study, calls: int) -> Iterator[tuple[str, Setting]]:  # noqa: ANN401
        """Yields the nearest schedule that costs as much."""
        with closing(Bench(pipe)) as bench:
            fit = case_fit(bench, study, self.fit_cases, self.options)
            able = [groups for groups in GROUPS if set(groups) <= set(study.space.groups)]
            self.shares.update({groups: _share(fit, study, groups) for groups in able})
            schedules = Schedules(fit, study, self.cases)
            settings = {
                (groups, between): count
                for groups in able
                for between in BETWEEN
                if (count := _full_steps(calls, between, self.shares[groups], fit.states.walk.T)) > 1
            }

            def search() -> tuple[tuple[str, ...], int, list[int]]:
                return self._search(schedules, settings)

            options = {"fitted reuse": calls, "tries": self.tries, "searched_cases": self.cases, "options": repr(self.options)}
            key = key_of(study, pipe, fit.cases, **options, shares=sorted(self.shares.items()))
            groups, between, full = stored(cache_folder(), key, search, SHELF)
            policy = fit.fit(schedules.policy(tuple(full), groups, between)).policy
            yield f"{len(full)} full, {between} between them without {' and '.join(groups)}", policy

    def equivalents(self, setting: Setting) -> float:
        """Returns full steps, and reuse steps by their share of the operations."""
        assert isinstance(setting, Policy), "it is fitted"
        mask = next(iter(setting.masks.values()))
        share = next(share for groups, share in self.shares.items() if set(groups) == set(setting.masks))
        return mask.count("1") + mask.count("0") * share

    def _search(
        self, schedules: "Schedules", settings: dict[tuple[tuple[str, ...], int], int]
    ) -> tuple[tuple[str, ...], int, list[int]]:
        """Returns groups, reuse steps between two full ones, and full steps of the nearest schedule."""
        searches = {setting: schedules.search(*setting) for setting in settings}
        for setting, count in settings.items():
            starts = dict(starting_grids(schedules.fit.states, count)).values()
            for _ in searches[setting].improve(tuple(starts), 3):
                pass
        left = self.tries - 3 * len(searches)
        by_error = sorted(settings, key=lambda setting: min(searches[setting].errors.values()))
        for setting in by_error[:2]:
            nearest = searches[setting].nearest(settings[setting])
            for trial in searches[setting].improve(nearest[:1], left // 2):
                if trial.is_best:
                    print(f"  {setting}: {trial.grid} {trial.error:.5f}", flush=True)
        groups, between = min(by_error, key=lambda setting: min(searches[setting].errors.values()))
        return groups, between, list(searches[groups, between].nearest(settings[groups, between])[0])


class Schedules:
    """Fits schedules with reuse steps.

    Arguments:
        fit: What fits.
        study: Its space names the groups.
        cases: How many of the cases a schedule is fitted on while it is searched.
    """

    def __init__(self, fit: CaseFit, study: Study, cases: int) -> None:
        self.fit, self.cases = fit, cases
        self._sites = resolve_sites(fit, study)

    def policy(self, full: Grid, groups: Sequence[str], between: int) -> Policy:
        """Returns the policy of a schedule, to be fitted."""
        schedule = FittedSchedule.of(full, between, self.fit.states.walk.T)
        sites = {name: self._sites[name] for name in groups}
        return self.fit.policy(schedule.steps, groups=sites, masks=dict.fromkeys(groups, schedule.mask))

    def search(self, groups: tuple[str, ...], between: int) -> GridSearch:
        """Returns a search over full steps."""

        def error(full: Grid) -> float:
            return drain(self.fit.steps_of(self.policy(full, groups, between), self.cases)).latent_error

        return GridSearch(error, self.fit.states.walk.T)


def resolve_sites(fit: CaseFit, study: Study) -> dict[str, tuple[str, ...]]:
    """Returns the sites of the space's groups."""
    from frdiff_tune.search.grouping import resolve_groups

    return {name: tuple(sites) for name, sites in resolve_groups(fit.bench.pipe, study.space.groups).items()}


def _full_steps(calls: int, between: int, share: float, T: int) -> int:
    """Returns how many full steps cost at most so many network calls, with their reuse steps; 0 if none does."""
    able = [n for n in range(1, T) if n + min(between * n, T - n) * share <= calls + ROUNDING]
    return max(able, default=0)


def _share(fit: CaseFit, study: Study, groups: Sequence[str]) -> float:
    """Returns the operations of a step at which groups reuse, over those of a full step."""
    sites = {name: resolve_sites(fit, study)[name] for name in groups}
    policy = keyframe_policy(fit.bench.pipe, 2, [0], mixing=1.0, groups=sites)
    steps = operations(Contender(fit.bench, policy, 2), {**fit.call, **call_arguments(fit.cases[:1])}).steps
    return round(steps[1] / steps[0], 4)
