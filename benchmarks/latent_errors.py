"""Which average over search cases tells grids apart: how well each foretells the mean error on other cases.

    python -m benchmarks.latent_errors demo:10 demo:7 demo-dit:6

The starting grids and neighbours of them are fitted on 48 search cases, and walked with 96 search cases and 96 held-out
ones; nothing is decoded. Then the cases are split at random, again and again: averages over some cases are compared with the
mean over all others, by rank correlation, and by how far the grid that looks nearest is above the least mean. The errors of
every grid stay under runs/, so that a run that was stopped goes on.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from benchmarks.bench import RAW
from benchmarks.methods.fitted_steps import BATCH, case_fit
from benchmarks.record import heading, save
from frdiff_tune.measure.bench import Bench
from frdiff_tune.search.fitting import CaseFit, FitOptions
from frdiff_tune.search.fitting.grid_search import SHIFTS
from frdiff_tune.search.fitting.grids import Grid, starting_grids
from frdiff_tune.search.setting import cache_folder, held_out_cases, open_pipeline
from frdiff_tune.search.study import Study, load_study

Array = NDArray[np.float64]
FIT_CASES, CASES, SEEDS, GRIDS = 48, 96, 3, 14
"""Search cases that a grid is fitted on, and walked with; seeds per held-out prompt; grids at each number of steps."""
MOVED = 4
"""Steps of a starting grid that move at most."""
SAMPLES, SPLITS = (16, 24, 48, 96), 300
"""Cases that an average is of, and random splits."""


def lower(share: float) -> Callable[[Array], Array]:
    """Returns the mean over the share of cases with the least error."""
    return lambda errors: np.sort(errors, axis=1)[:, : round(share * errors.shape[1])].mean(1)


AVERAGES: dict[str, Callable[[Array], Array]] = {
    "mean": lambda errors: errors.mean(1),
    "geometric mean": lambda errors: np.log(errors).mean(1),
    "mean of roots": lambda errors: np.sqrt(errors).mean(1),
    "median": lambda errors: np.median(errors, axis=1),
    "mean of the lower 70 %": lower(0.7),
    "mean of the lower 90 %": lower(0.9),
}
"""Name -> what it makes of errors with shape (grids, cases)."""


def grids(starts: Sequence[Grid], T: int, count: int) -> Iterator[Grid]:
    """Yields the starts, then neighbours of them that are new."""
    rng, known = np.random.default_rng(0), set(starts)
    yield from starts
    while len(known) < count:
        grid = neighbour(starts[int(rng.integers(len(starts)))], T, rng)
        if grid not in known:
            known.add(grid)
            yield grid


def neighbour(grid: Grid, T: int, rng: np.random.Generator) -> Grid:
    """Returns a grid some of whose steps are others."""
    while True:
        steps = list(grid)
        for _ in range(int(rng.integers(1, MOVED + 1))):
            steps[int(rng.integers(1, len(steps)))] += int(rng.choice(SHIFTS))
        moved = tuple(sorted(set(steps)))
        if len(moved) == len(grid) and moved[0] == 0 and moved[-1] < T:
            return moved


def errors_of(grid: Grid, study: Study, fit: CaseFit, held_out: CaseFit) -> list[float]:
    """Returns the error of a fitted grid's last latent on every case, search cases first."""
    place = RAW / "latent-errors" / f"{study.name}-{'-'.join(map(str, grid))}.npy"
    if not place.is_file():
        policy = fit.fit(fit.policy(grid), FIT_CASES).policy
        errors = [error for each in (fit, held_out) for error in per_case(each.error(policy).errors, len(each.cases))]
        place.parent.mkdir(parents=True, exist_ok=True)
        np.save(place, np.array(errors))
    return [float(error) for error in np.load(place)]


def per_case(errors: Sequence[float], count: int) -> list[float]:
    """Returns one error per case, where a pipeline that walks guidance pairs (DiT) has every case twice in its batch.

    Arguments:
        errors: In the order in which calls of ``BATCH`` cases have them.
        count: Cases.
    """
    copies, whole = len(errors) // count, list[float]()
    for begin in range(0, count, BATCH):
        size = min(BATCH, count - begin)
        whole += errors[copies * begin : copies * begin + size]
    return whole


def row(errors: Array, count: int) -> dict[str, Any]:
    """Returns what each average over ``count`` cases foretells of the mean over the others.

    Arguments:
        errors: With shape (grids, cases).
        count: Cases of an average.
    """
    rng = np.random.default_rng(0)
    figures: dict[str, list[tuple[float, float]]] = {name: [] for name in AVERAGES}
    for _ in range(SPLITS):
        order = rng.permutation(errors.shape[1])
        others = errors[:, order[count:]].mean(1)
        for name, average in AVERAGES.items():
            values = average(errors[:, order[:count]])
            excess = float(others[values.argmin()] / others.min() - 1)
            figures[name].append((float(spearmanr(values, others).statistic), excess))
    means = {name: np.mean(pairs, axis=0).round(3).tolist() for name, pairs in figures.items()}
    return {
        "cases": count,
        "rank_correlation": {name: pair[0] for name, pair in means.items()},
        "excess_of_the_chosen": {name: pair[1] for name, pair in means.items()},
    }


def rows(study: Study, pipe: Any, counts: Sequence[int]) -> Iterator[dict[str, Any]]:  # noqa: ANN401
    """Yields a row per number of steps and of cases."""
    call = study.file.call
    with closing(Bench(pipe)) as bench:
        fit = case_fit(bench, study, CASES, FitOptions())
        cases = held_out_cases(study, pipe, SEEDS)
        steps = call.num_inference_steps
        held_out = CaseFit(bench, cases, steps=steps, call=call.arguments, folder=cache_folder(), batch=BATCH)
        for count in counts:
            starts = tuple(dict(starting_grids(fit.states, count)).values())
            table = []
            for grid in grids(starts, fit.states.walk.T, GRIDS):
                table.append(errors_of(grid, study, fit, held_out))
                print(f"{study.name}  {grid}: {np.mean(table[-1]):.4f}, median {np.median(table[-1]):.4f}", flush=True)
            for cases_used in SAMPLES:
                yield {"steps": count, "grids": len(table), **row(np.array(table), cases_used)}


def main() -> None:
    """Measures the studies and numbers of steps that are named, and writes JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("questions", nargs="+", metavar="STUDY:STEPS")
    named: dict[str, list[int]] = {}
    for question in parser.parse_args().questions:
        name, _, count = question.partition(":")
        named.setdefault(name, []).append(int(count))
    for name, counts in named.items():
        study = load_study(name)
        pipe = open_pipeline(study)
        command = f"python -m benchmarks.latent_errors {' '.join(f'{name}:{count}' for count in counts)}"
        table = list(rows(study, pipe, counts))
        for each in table:
            print(each, flush=True)
        save({**heading(study, pipe, command, 0), "rows": table}, f"latent-errors-{name}")


if __name__ == "__main__":
    main()
