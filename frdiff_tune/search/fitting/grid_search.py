"""Local search over the steps of a fitted policy, by the error of its last latent: nothing is decoded, no metric is run.

On the embedded text model, four grids of ten steps that were fitted on 96 search cases have the same order by this mean (.057
to .120) and by mean LPIPS on 96 held-out images (.0123 to .0205). It counts cases that become another composition in full,
and these carry the mean LPIPS; a mean of logarithms hardly sees them.
"""

from collections.abc import Generator, Iterable
from dataclasses import dataclass
from random import Random

from frdiff_tune.errors import SpaceError
from frdiff_tune.search.fitting.case_fit import CaseFit
from frdiff_tune.search.fitting.fit import FitResult, drain
from frdiff_tune.search.fitting.grids import Grid

SHIFTS = (-3, -2, -1, 1, 2, 3)
"""How far a step moves."""
MOVED = (1, 1, 2)
"""How many steps move at once."""


@dataclass(frozen=True, slots=True)
class GridTrial:
    """A grid that was fitted.

    Arguments:
        grid: Its steps.
        result: The fit.
        is_best: Whether no grid of its size was nearer before.
    """

    grid: Grid
    result: FitResult
    is_best: bool

    @property
    def error(self) -> float:
        """The last latent's relative error, mean over cases."""
        return self.result.mean_error


def search_grid(
    fit: CaseFit, starts: Iterable[Grid], tries: int, cases: int | None = None, finalists: int = 0, seed: int = 0
) -> Generator[GridTrial, None, Grid]:
    """Yields every grid that is fitted, starts first, then neighbours of the best one; returns the best.

    The least of many errors on few cases is partly luck. So the nearest grids are fitted again on all cases, which decide.

    Arguments:
        fit: What fits.
        starts: Grids with as many steps.
        tries: Grids that are fitted at most, the starts included.
        cases: How many of the cases each is fitted on; None: all.
        finalists: How many of the nearest grids are fitted on all cases; not yielded. 0: none.
        seed: Decides the neighbours.

    Raises:
        SpaceError: If there is no start.
    """
    best: GridTrial | None = None
    errors: dict[Grid, float] = {}
    queue, visited, rng = list(dict.fromkeys(starts)), set[Grid](), Random(seed)
    if not queue:
        raise SpaceError("`starts` must hold at least one grid but got none. Take those of `starting_grids`.")
    T = fit.states.walk.T
    while len(visited) < tries:
        grid = queue.pop(0) if queue else _neighbour(best.grid if best else (), T, visited, rng)
        if grid is None:
            break
        visited.add(grid)
        result = drain(fit.steps_of(fit.policy(grid), cases))
        trial = GridTrial(grid, result, best is None or result.mean_error < best.error)
        best, errors[grid] = trial if trial.is_best else best, trial.error
        yield trial
    nearest = sorted(errors, key=lambda grid: errors[grid])[: max(finalists, 1)]
    if len(nearest) == 1:
        return nearest[0]
    return min(nearest, key=lambda grid: drain(fit.steps_of(fit.policy(grid))).mean_error)


def _neighbour(grid: Grid, T: int, visited: set[Grid], rng: Random) -> Grid | None:
    """Returns a grid that was not tried and differs in one or two steps; None if a thousand draws gave none."""
    for _ in range(1000):
        steps = list(grid)
        for _ in range(rng.choice(MOVED)):
            if len(steps) > 1:
                steps[rng.randrange(1, len(steps))] += rng.choice(SHIFTS)
        moved = tuple(sorted(set(steps)))
        if len(moved) == len(grid) and moved[0] == 0 and moved[-1] < T and moved not in visited:
            return moved
    return None
