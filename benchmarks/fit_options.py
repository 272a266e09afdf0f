"""What the options of a fit are worth: prediction variable, memory, free state weight, ridge, number of cases.

    python -m benchmarks.fit_options demo demo-dit

Each policy walks a part of the reference's 50 steps that is dense at both ends; its weights are fitted on search cases and its
pictures judged on held-out ones (LPIPS against the full run). One option is changed at a time from the default, and the
first-order solver stands beside it.
"""

import argparse
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from statistics import fmean, median
from typing import Any

from benchmarks.bench import CaseBench
from benchmarks.record import heading, save, shown
from frdiff_tune.search.fitting import CaseFit, FitOptions
from frdiff_tune.search.fitting.grids import cosine, spread
from frdiff_tune.search.setting import cache_folder, held_out_cases, open_pipeline, search_cases
from frdiff_tune.search.study import load_study

CASES = 96
"""Search cases that states are recorded of."""
DEFAULT: dict[str, Any] = {"variable": "sample", "memory": 3, "free_state": True, "ridge": 1e-3, "cases": 48}
VARIANTS: tuple[dict[str, Any], ...] = (
    {},
    {"variable": "epsilon"},
    {"memory": 2},
    {"memory": 4},
    {"memory": 5},
    {"free_state": False},
    {"ridge": 1e-5},
    {"ridge": 1e-4},
    {"ridge": 1e-2},
    {"cases": 8},
    {"cases": 24},
    {"cases": 96},
)
FLIP = 0.05
"""LPIPS above which a picture counts as another composition."""


def rows(fit: CaseFit, held_out: CaseBench, counts: list[int]) -> Iterator[dict[str, Any]]:
    """Yields one row per network calls and variant."""
    for calls in counts:
        T = fit.states.walk.T
        grid = spread(cosine(calls, T), T)
        start = fit.policy(grid)
        yield {"calls": calls, "option": "first order", **_judged(held_out, start), "latent_error": None}
        for variant in VARIANTS:
            chosen = {**DEFAULT, **variant}
            names = ("memory", "free_state", "ridge")
            fit.options = replace(FitOptions(), **{name: chosen[name] for name in names})
            result = fit.fit(fit.policy(grid, variable=chosen["variable"]), chosen["cases"])
            label = ", ".join(f"{name} {value}" for name, value in variant.items()) or "default"
            yield {
                "calls": calls,
                "option": label,
                **_judged(held_out, result.policy),
                "latent_error": round(result.latent_error, 5),
            }


def _judged(held_out: CaseBench, policy: Any) -> dict[str, float]:  # noqa: ANN401
    values = held_out.distances(policy)
    flips = fmean(value > FLIP for value in values)
    return {"lpips_mean": round(fmean(values), 5), "lpips_median": round(median(values), 6), "flips": round(flips, 4)}


def main() -> None:
    """Measures the studies that are named and writes JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("studies", nargs="+")
    parser.add_argument("--calls", type=int, nargs="+", default=[6, 8, 10])
    parser.add_argument("--seeds", type=int, default=3, help="seeds per held-out prompt")
    arguments = parser.parse_args()
    for name in arguments.studies:
        study = load_study(name)
        pipe = open_pipeline(study)
        call, steps = study.file.call.arguments, study.file.call.num_inference_steps
        with closing(CaseBench(study, pipe, held_out_cases(study, pipe, arguments.seeds))) as held_out:
            cases = search_cases(study, pipe)[:CASES]
            fit = CaseFit(held_out.bench, cases, steps=steps, call=call, folder=cache_folder(), batch=12)
            table = list(shown(rows(fit, held_out, arguments.calls)))
            command = f"python -m benchmarks.fit_options {name} --seeds {arguments.seeds}"
            head = heading(study, pipe, command, len(held_out.cases))
        save({**head, "rows": table}, f"fit-options-{name}")


if __name__ == "__main__":
    main()
