"""How fast a search grows its front: hypervolume over minutes and over network calls, ours beside stock samplers of Optuna.

    python -m benchmarks.search_growth demo --samplers auto tpe gp --seeds 0 1 2 3 4 --minutes 60

Every run is what ``frdiff-tune tune`` runs, on the study's real model, cases and metrics, from an empty database. Stock
samplers get the same space, the same solved weights, the same first rung, racing and starting points; only the proposals
differ. A network call is a sample that the denoiser is asked for (a guided picture counts two a step), those of fits, of
pictures and of timed calls; a step that reuses layers counts in full. Preparation, the same for all, counts apart.

Hypervolume is the study's own: decades of mean LPIPS on the search cases, the study's floor at least, times share of the
reference's latency. Rows of an earlier result stay, so that seeds can be added one by one.
"""

import argparse
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

import optuna

from benchmarks.record import RESULTS, heading, save
from benchmarks.search_growth_figure import figure, table
from frdiff_tune.runtime import find_denoisers
from frdiff_tune.search.growth import history
from frdiff_tune.search.samplers import FORESEEING, SAMPLERS
from frdiff_tune.search.setting import open_pipeline
from frdiff_tune.search.study import Study, load_study
from frdiff_tune.search.tuning import Preparing, tune

DATABASES = Path("runs/benchmarks/search")
EARLY, LEVEL = 10.0, 0.95
"""Minutes after which a search is looked at, and the share of the whole run's hypervolume that counts as reached."""

TRIALS = 1000
"""More than a run has time for: minutes end it."""

Row = dict[str, Any]


class NetworkCalls:
    """Counts samples that go through the first layer of a pipeline's denoisers: a jump does not get there.

    Arguments:
        pipe: A diffusers pipeline.

    Attributes:
        count: Samples so far.
    """

    def __init__(self, pipe: Any) -> None:  # noqa: ANN401
        self.count = 0
        self._layers = [next(denoiser.module.children()) for denoiser in find_denoisers(pipe)]

    @contextmanager
    def counting(self) -> Iterator["NetworkCalls"]:
        """Counts while the context is open."""
        hooks = [layer.register_forward_pre_hook(self._count) for layer in self._layers]
        try:
            yield self
        finally:
            for hook in hooks:
                hook.remove()

    def _count(self, layer: Any, arguments: tuple[Any, ...]) -> None:  # noqa: ANN401, ARG002
        self.count += len(arguments[0])


def run(study: Study, pipe: Any, sampler: str, seed: int, minutes: float) -> Row:  # noqa: ANN401
    """Runs a study from an empty database and returns its row.

    Arguments:
        study: The study.
        pipe: Its pipeline.
        sampler: A name of ``SAMPLERS``.
        seed: The sampler's.
        minutes: Wall time from the first trial on.
    """
    database = DATABASES / f"{study.name}-{sampler}-{seed}.db"
    database.parent.mkdir(parents=True, exist_ok=True)
    database.unlink(missing_ok=True)
    options = {"sampler": sampler, "seed": seed, "storage": f"sqlite:///{database}"}
    search = study.file.search.model_copy(update=options)
    study = replace(study, file=study.file.model_copy(update={"search": search}))
    spent, begun, prepared = dict[int, tuple[float, int]](), time.monotonic(), 0
    same_start = patch("frdiff_tune.search.agenda.FORESEEING", (*FORESEEING, sampler))
    with same_start, NetworkCalls(pipe).counting() as calls:
        for event in tune(study, trials=TRIALS, minutes=minutes, pipe=pipe):
            if isinstance(event, Preparing):
                begun, prepared = time.monotonic(), calls.count
            else:
                spent[event.number] = time.monotonic() - begun, calls.count - prepared
                print(f"{study.name} {sampler} {seed}: {spent[event.number]} {event}"[:240], flush=True)
    trace = [
        [round(spent[step.number][0], 1), spent[step.number][1], round(step.volume, 5)]
        for step in history(study)
        if step.number in spent
    ]
    return {"sampler": sampler, "seed": seed, "minutes": minutes, "preparation_calls": prepared, "trace": trace}


def volume_after(row: Mapping[str, Any], minutes: float = float("inf"), calls: float = float("inf")) -> float:
    """Returns the hypervolume that a run had after so many minutes, or so many network calls."""
    held = [volume for seconds, spent, volume in row["trace"] if seconds <= 60 * minutes and spent <= calls]
    return float(held[-1]) if held else 0.0


def calls_until(row: Mapping[str, Any], volume: float) -> int | None:
    """Returns the network calls after which a run held a hypervolume; None if it never did."""
    return next((spent for _, spent, held in row["trace"] if held >= volume), None)


def figures(rows: Sequence[Row]) -> dict[str, Any]:
    """Returns what follows from the rows, each as one value per seed and their median.

    The early share is the hypervolume after ten minutes over that of the same run's end. Calls until ``LEVEL`` are those
    until that share of the hypervolume at the end of our run of the same seed; a run that never gets there counts all of its
    calls, and is counted in ``never``.
    """
    ours = {row["seed"]: row for row in rows if row["sampler"] == "auto"}
    long = [row for row in ours.values() if row["minutes"] > EARLY]
    result: dict[str, Any] = {"early_share": _summary([volume_after(row, EARLY) / volume_after(row) for row in long])}
    for sampler in dict.fromkeys(row["sampler"] for row in rows):
        runs = [row for row in rows if row["sampler"] == sampler and row["seed"] in ours]
        calls = [calls_until(row, LEVEL * volume_after(ours[row["seed"]])) for row in runs]
        spent = [row["trace"][-1][1] if count is None else count for row, count in zip(runs, calls, strict=True)]
        result[f"calls_until_{LEVEL}_{sampler}"] = _summary(spent) | {"never": calls.count(None)}
        if sampler != "auto":
            pairs = [(row, ours[row["seed"]]) for row in runs]
            result[f"volume_at_equal_calls_{sampler}"] = _summary(
                [volume_after(row) / volume_after(other, calls=row["trace"][-1][1]) for row, other in pairs]
            )
    return result


def _summary(values: Sequence[float]) -> dict[str, Any]:
    return {"median": median(values) if values else None, "values": [round(value, 4) for value in values]}


def main() -> None:
    """Runs the searches that the command line names; writes JSON after each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", help="a bare name or a path")
    parser.add_argument("--samplers", nargs="+", choices=SAMPLERS, default=["auto", "tpe", "gp"])
    parser.add_argument("--seeds", nargs="+", type=int, default=list(range(5)))
    parser.add_argument("--minutes", type=float, default=60.0, help="wall time of a run, from its first trial on")
    given = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = load_study(given.study)
    pipe, file = open_pipeline(study), RESULTS / f"search-growth-{study.name}.json"
    for sampler in given.samplers:
        for seed in given.seeds:
            row = run(study, pipe, sampler, seed, given.minutes)
            earlier = json.loads(file.read_text())["rows"] if file.is_file() else []
            rows = [other for other in earlier if (other["sampler"], other["seed"]) != (sampler, seed)] + [row]
            options = f"--samplers {sampler} --seeds {seed} --minutes {given.minutes:g}"
            command = f"python -m benchmarks.search_growth {study.name} {options}"
            head = heading(study, pipe, command, study.file.cases.search_count)
            result = {**head, "figures": figures(rows), "rows": rows}
            figure(result, save(result, file.stem).with_suffix(".png"))
            print(json.dumps(result["figures"], indent=1), table(result, LEVEL, EARLY), sep="\n", flush=True)


if __name__ == "__main__":
    main()
