"""Local search over the steps of a fitted policy, by the error of its last latent: nothing is decoded, no metric is run.

The geometric mean over cases decides (``FitResult.latent_error``). Of 14 grids of ten steps, the one that 48 search cases
choose by it has the least mean error on other cases of the embedded text model; the arithmetic mean chooses one that is 16 %
above. At seven steps both are 5 % above it (``benchmarks/results/latent-errors-demo.json``).
"""

from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from random import Random

from frdiff_tune.errors import SpaceError
from frdiff_tune.search.fitting.case_fit import CaseFit
from frdiff_tune.search.fitting.fit import drain
from frdiff_tune.search.fitting.grids import Grid

SHIFTS = (-3, -2, -1, 1, 2, 3)
"""How far a step moves."""
MOVED = (1, 1, 2)
"""How many steps move at once."""
DRAWS = 1000
"""Draws of a neighbour until one is new."""


@dataclass(frozen=True, slots=True)
class GridTrial:
    """A grid that was fitted.

    Arguments:
        grid: Its steps.
        error: The last latent's relative error, geometric mean over cases.
        is_best: Whether no grid of its size was nearer before.
    """

    grid: Grid
    error: float
    is_best: bool


class GridSearch:
    """Fitted grids and their errors, by the number of steps; a search goes on where it was left.

    Arguments:
        error: Returns the error of the policy that is fitted on a grid; inf where it cannot be fitted.
        T: Steps of the reference's walk.
        seed: Decides the neighbours.
    """

    def __init__(self, error: Callable[[Grid], float], T: int, seed: int = 0) -> None:
        self._error, self._T, self._rng = error, T, Random(seed)
        self.errors: dict[Grid, float] = {}

    def nearest(self, count: int) -> list[Grid]:
        """Returns the grids with ``count`` steps that were fitted, the nearest first."""
        return sorted((grid for grid in self.errors if len(grid) == count), key=lambda grid: self.errors[grid])

    def improve(self, starts: Iterable[Grid], tries: int) -> Iterator[GridTrial]:
        """Yields every grid that is fitted: starts that are new, then neighbours of the nearest one of their size.

        Arguments:
            starts: Grids with as many steps, at least one.
            tries: Grids that are fitted at most.
        """
        queue = [grid for grid in dict.fromkeys(starts)]
        count = len(queue[0])
        queue = [grid for grid in queue if grid not in self.errors]
        for _ in range(tries):
            grid = queue.pop(0) if queue else self._neighbour(self.nearest(count)[0])
            if grid is None:
                return
            best = min((self.errors[other] for other in self.nearest(count)), default=float("inf"))
            self.errors[grid] = self._error(grid)
            yield GridTrial(grid, self.errors[grid], self.errors[grid] < best)

    def of_other_sizes(self, count: int) -> list[Grid]:
        """Returns grids with ``count`` steps made of the nearest with one more and one less."""
        grids = []
        for grid in self.nearest(count + 1)[:1]:
            dropped = self._rng.randrange(1, len(grid))
            grids.append(grid[:dropped] + grid[dropped + 1 :])
        for grid in self.nearest(count - 1)[:1]:
            ends = (*grid[1:], self._T)
            width, begin = max((end - begin, begin) for begin, end in zip(grid, ends, strict=True))
            grids += [tuple(sorted((*grid, begin + width // 2)))] if width > 1 else []
        return grids

    def _neighbour(self, grid: Grid) -> Grid | None:
        """Returns a grid that was not fitted and differs in one or two steps; None if no draw gave one."""
        for _ in range(DRAWS):
            steps = list(grid)
            for _ in range(self._rng.choice(MOVED)):
                if len(steps) > 1:
                    steps[self._rng.randrange(1, len(steps))] += self._rng.choice(SHIFTS)
            shifted = tuple(sorted(set(steps)))
            if len(shifted) == len(grid) and shifted[0] == 0 and shifted[-1] < self._T and shifted not in self.errors:
                return shifted
        return None


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
    starts = tuple(starts)
    if not starts:
        raise SpaceError("`starts` must hold at least one grid but got none. Take those of `starting_grids`.")

    def error(grid: Grid, count: int | None = cases) -> float:
        return drain(fit.steps_of(fit.policy(grid), count)).latent_error

    search = GridSearch(error, fit.states.walk.T, seed)
    yield from search.improve(starts, tries)
    nearest = search.nearest(len(starts[0]))[: max(finalists, 1)]
    return nearest[0] if len(nearest) == 1 else min(nearest, key=lambda grid: error(grid, None))
