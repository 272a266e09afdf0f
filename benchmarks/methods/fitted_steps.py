"""Ours: a linear multistep scheduler, fitted on the policy's own states, on a uniform or a searched grid."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from benchmarks.methods._base import Method, Setting, key_of, tuning_cases
from frdiff_tune.measure.bench import Bench
from frdiff_tune.measure.references import stored
from frdiff_tune.policy import Policy
from frdiff_tune.search.fitting import CaseFit, FitOptions
from frdiff_tune.search.fitting.grid_search import search_grid
from frdiff_tune.search.fitting.grids import Grid, starting_grids
from frdiff_tune.search.setting import cache_folder
from frdiff_tune.search.study import Study

BATCH = 12
"""Cases per call."""
SHELF = "keyframes"


@dataclass(frozen=True)
class FittedSteps(Method):
    """Weights of state and predictions, solved for step by step while the cases walk together.

    Arguments:
        tries: Grids that are fitted at each number of calls; 0: only evenly spaced ones, of which search cases choose.
        cases: Search cases that a grid is searched with.
        finalists: Grids of which all search cases choose one.
        fit_cases: Search cases that the chosen grid is fitted on.
        options: How to fit.
    """

    tries: int = 0
    cases: int = 48
    finalists: int = 5
    fit_cases: int = 96
    options: FitOptions = field(default_factory=FitOptions)

    def policies(self, pipe: Any, study: Study, calls: int) -> Iterator[tuple[str, Setting]]:  # noqa: ANN401
        """Yields the evenly spaced grids, or the searched one, with fitted weights."""
        with closing(Bench(pipe)) as bench:
            fit = case_fit(bench, study, self.fit_cases, self.options)
            starts = dict(starting_grids(fit.states, calls))
            if self.tries:
                yield f"{self.tries} tries", self._searched(fit, study, calls, tuple(starts.values()))
            else:
                for name in ("trailing", "linspace"):
                    if name in starts:
                        yield name, fit.fit(fit.policy(starts[name])).policy

    def _searched(self, fit: CaseFit, study: Study, calls: int, starts: tuple[Grid, ...]) -> Policy:
        def search() -> list[int]:
            steps = search_grid(fit, starts, self.tries, self.cases, self.finalists)
            while True:
                try:
                    tried = next(steps)
                    if tried.is_best:
                        print(f"  {calls} calls: {tried.grid} {tried.error:.5f}", flush=True)
                except StopIteration as end:
                    return list(end.value)

        options = {"fitted grid": calls, "tries": self.tries, "objective": "geometric mean", "starts": sorted(starts)}
        options |= {"searched_cases": self.cases, "finalists": self.finalists, "options": repr(self.options)}
        grid = stored(cache_folder(), key_of(study, fit.bench.pipe, fit.cases, **options), search, SHELF)
        return fit.fit(fit.policy(grid)).policy


def case_fit(bench: Bench, study: Study, count: int, options: FitOptions) -> CaseFit:
    """Returns what fits on the first search cases of a study."""
    call = study.file.call
    cases = tuning_cases(study, bench.pipe)[:count]
    return CaseFit(
        bench,
        cases,
        steps=call.num_inference_steps,
        call=call.arguments,
        folder=cache_folder(),
        batch=BATCH,
        options=options,
    )
