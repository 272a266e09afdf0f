"""What reuse steps are worth where they are cheap: the fronts of fitted steps with and without them, held out.

    python -m benchmarks.reuse_value demo

The embedded model draws, but a reuse step counts what it costs on SDXL on an H100 (``COSTS``, in full steps), as on a small
model on a CPU it saves little. Schedules with and without reuse get the same number of fits, on the same search cases. Which
of them are on the fronts of cost against closeness, the mean latent error of all search cases says; how much hypervolume the
fronts hold, held-out pictures do. Nothing is timed.
"""

import argparse
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import partial
from statistics import fmean
from typing import Any

import numpy as np

from benchmarks.bench import CaseBench
from benchmarks.methods._base import key_of
from benchmarks.methods.fitted_reuse import Schedules
from benchmarks.methods.fitted_steps import SHELF, case_fit
from benchmarks.record import heading, save
from frdiff_tune.measure import bootstrap
from frdiff_tune.measure.bench import Bench
from frdiff_tune.measure.references import stored
from frdiff_tune.search.fitting import FitOptions, drain
from frdiff_tune.search.fitting.grid_search import GridSearch
from frdiff_tune.search.fitting.grids import Grid, starting_grids
from frdiff_tune.search.setting import cache_folder, held_out_cases, open_pipeline
from frdiff_tune.search.study import Study, load_study
from frdiff_tune.search.volume import CORNER, hypervolume

COSTS = {("deep",): 0.16, ("deep", "shallow"): 0.02, ("attention",): 0.6}
"""Groups that reuse together -> cost of a reuse step in full steps, on SDXL on an H100."""
FULL = (4, 5, 6, 8, 10, 12)
"""Full steps of schedules without reuse, and of those with it but the largest two."""
BETWEEN = (1, 2)
"""Reuse steps between two full ones."""
FIRST, MARGIN = 1, 1.3
"""Fits that every kind of schedule gets, and how far its error may be above the front's then to be looked at further."""
TRIES, CASES, FIT_CASES = 5, 48, 96
"""Fits of such a kind in all, their search cases, and those of the last fit."""
RESAMPLES = 2000


@dataclass(frozen=True)
class Kind:
    """Schedules that cost the same.

    Arguments:
        groups: What reuses; empty: nothing.
        between: Reuse steps between two full ones.
        full: Full steps.
    """

    groups: tuple[str, ...]
    between: int
    full: int

    @property
    def cost(self) -> float:
        """In full steps."""
        return self.full * (1 + self.between * COSTS.get(self.groups, 0.0))


def kinds() -> Iterator[Kind]:
    """Yields the kinds, those without reuse first."""
    yield from (Kind((), 0, full) for full in FULL)
    yield from (Kind(groups, between, full) for groups in COSTS for between in BETWEEN for full in FULL[:-2])


def searched(schedules: Schedules) -> dict[str, Grid]:
    """Returns the full steps of every kind that may be on the front whose fit comes nearest."""
    searches = {kind: GridSearch(partial(_quick_error, schedules, kind), schedules.fit.states.walk.T) for kind in kinds()}
    for kind, search in searches.items():
        starts = dict(starting_grids(schedules.fit.states, kind.full))
        for trial in search.improve((starts.pop("cosine"), *starts.values()), FIRST):
            print(f"  {kind}: {trial.grid} {trial.error:.5f}", flush=True)
    first = {kind: min(search.errors.values()) for kind, search in searches.items()}
    nearest: dict[str, Grid] = {}
    for kind, search in searches.items():
        if first[kind] <= MARGIN * min(error for other, error in first.items() if other.cost <= kind.cost):
            for trial in search.improve(search.nearest(kind.full)[:1], TRIES - FIRST):
                print(f"  {kind}: {trial.grid} {trial.error:.5f}", flush=True)
            nearest[str(kind)] = search.nearest(kind.full)[0]
    return nearest


def _quick_error(schedules: Schedules, kind: Kind, grid: Grid) -> float:
    policy = schedules.policy(grid, kind.groups, kind.between)
    return drain(schedules.fit.steps_of(policy, CASES)).latent_error


def front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Returns which of (cost, error) no other one surpasses, the cheapest first."""
    indices, best = list[int](), float("inf")
    for i in sorted(range(len(points)), key=lambda i: points[i]):
        if points[i][1] < best:
            best = points[i][1]
            indices.append(i)
    return indices


def volume(rows: Sequence[dict[str, Any]], pictures: Sequence[int], T: int) -> float:
    """Returns the hypervolume of rows on some held-out pictures, in decades of LPIPS below 0.05 times shares of T steps."""
    return hypervolume([(float(np.mean([row["lpips"][i] for i in pictures])), row["cost"] / T) for row in rows])


def gain(rows: Sequence[dict[str, Any]], T: int) -> dict[str, float]:
    """Returns the hypervolume of the front with reuse over that without, with its 95 % interval over pictures."""
    plain, every = ([row for row in rows if row[name]] for name in ("on_plain_front", "on_front"))
    rng, count = np.random.default_rng(0), len(rows[0]["lpips"])
    draws = [list(range(count)), *(rng.integers(count, size=count).tolist() for _ in range(RESAMPLES))]
    ratios = [volume(every, draw, T) / volume(plain, draw, T) for draw in draws]
    low, high = np.quantile(ratios[1:], (0.025, 0.975))
    return {"value": ratios[0], "low": float(low), "high": float(high)}


def measured(study: Study, pipe: Any, held_out: CaseBench) -> Iterator[dict[str, Any]]:  # noqa: ANN401
    """Yields a row per kind that may be on a front."""
    with closing(Bench(pipe)) as bench:
        schedules = Schedules(case_fit(bench, study, FIT_CASES, FitOptions()), study, CASES)
        key = key_of(study, pipe, schedules.fit.cases, reuse_value=[str(kind) for kind in kinds()], tries=[FIRST, TRIES])
        nearest = stored(cache_folder(), key, partial(searched, schedules), SHELF)
        every = [kind for kind in kinds() if str(kind) in nearest]
        results = []
        for kind in every:
            results.append(schedules.fit.fit(schedules.policy(nearest[str(kind)], kind.groups, kind.between)))
            print(f"{study.name}  {kind}: {nearest[str(kind)]} {fmean(results[-1].errors):.5f}", flush=True)
    points = [(kind.cost, fmean(result.errors)) for kind, result in zip(every, results, strict=True)]
    plain = [i for i, kind in enumerate(every) if not kind.groups]
    fronts = set(front(points)), {plain[i] for i in front([points[i] for i in plain])}
    for i in sorted(range(len(every)), key=lambda i: points[i]):
        kind, lpips = every[i], held_out.distances(results[i].policy)
        yield {
            **asdict(kind),
            "grid": list(nearest[str(kind)]),
            "cost": round(kind.cost, 4),
            "mean_latent_error": round(points[i][1], 5),
            "on_front": i in fronts[0],
            "on_plain_front": i in fronts[1],
            "lpips_mean": asdict(bootstrap(lpips)),
            "lpips_median": asdict(bootstrap(lpips, "median")),
            "lpips": [round(value, 6) for value in lpips],
        }
        print(f"{study.name}  {kind}: {np.mean(lpips):.5f} / {np.median(lpips):.5f}", flush=True)


def main() -> None:
    """Measures the studies that are named and writes JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("studies", nargs="+")
    parser.add_argument("--seeds", type=int, default=3, help="seeds per held-out prompt")
    arguments = parser.parse_args()
    for name in arguments.studies:
        study = load_study(name)
        pipe = open_pipeline(study)
        T = study.file.call.num_inference_steps
        with closing(CaseBench(study, pipe, held_out_cases(study, pipe, arguments.seeds))) as held_out:
            rows = list(measured(study, pipe, held_out))
            command = f"python -m benchmarks.reuse_value {name} --seeds {arguments.seeds}"
            head = heading(study, pipe, command, len(held_out.cases))
        about = {"costs": {" and ".join(groups): cost for groups, cost in COSTS.items()}, "tries": TRIES, "cases": FIT_CASES}
        figure = gain(rows, T)
        print(f"{name}  hypervolume with reuse over that without: {figure}", flush=True)
        save({**head, **about, "corner": CORNER, "gain": figure, "rows": rows}, f"reuse-value-{name}")


if __name__ == "__main__":
    main()
