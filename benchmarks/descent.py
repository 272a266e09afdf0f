"""Whether forecast weights are better fitted to recorded scores, or moved by gradient through the whole run.

Both see the same search cases and the same keyframe sets, which dynamic programming finds; LPIPS is of other cases. A descent
is shown after several numbers of steps; its seconds are of this machine.

    python -m benchmarks.descent demo demo-dit
"""

import time
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from statistics import fmean, median
from typing import Any

from benchmarks.bench import CaseBench
from benchmarks.record import heading, run, shown
from frdiff_tune.measure import trajectory
from frdiff_tune.policy import Policy
from frdiff_tune.runtime import keyframe_policy
from frdiff_tune.search.descent import descend
from frdiff_tune.search.dynamic import best_sets, segment_costs
from frdiff_tune.search.score_fit import fitted_weights, with_fit
from frdiff_tune.search.setting import FOLLOWED, cache_folder, open_pipeline, search_cases
from frdiff_tune.search.study import Study

CASES = 16
SETS = ((8, 0.5, -0.25), (12, 0.5, -0.25), (17, 1.5, 0.0), (25, 1.5, 1.0))
"""Keyframes of 50 steps, how much early errors count, and the strength of a linear forecast that is best there."""
STEPS = (10, 20, 40)
"""Of descent."""
SEEN = 4
"""Cases that one pass of a descent draws."""


def measure(study: Study) -> dict[str, Any]:
    """Returns the rows of a study, as JSON values."""
    pipe = open_pipeline(study)
    cases = search_cases(study, pipe)
    with closing(CaseBench(study, pipe, cases[FOLLOWED : FOLLOWED + CASES])) as bench:
        rows = list(shown(_rows(study, bench, cases)))
    return {**heading(study, pipe, f"python -m benchmarks.descent {study.name}", CASES), "rows": rows}


def _rows(study: Study, bench: CaseBench, cases: tuple[Any, ...]) -> Iterator[dict[str, Any]]:
    pipe, call, T = bench.pipe, study.file.call, bench.steps
    seen = trajectory(pipe, cases[:FOLLOWED], steps=T, call=call.arguments, folder=cache_folder())
    gram = seen.gram("epsilon")
    for of_fifty, early, strength in SETS:
        size = round(of_fifty * T / 50)
        keyframes = list(best_sets(segment_costs(seen, "epsilon", early), T)[size])

        def jumps(order: int, strength: float, keyframes: list[int] = keyframes) -> Policy:
            return keyframe_policy(pipe, T, keyframes, 0.0, groups=[], order=order, strength=strength, variable="epsilon")

        held, trend = jumps(0, 1.0), jumps(1, strength)
        fitted = with_fit(jumps(1, 0.0), fitted_weights(gram, keyframes), (1.0,))
        ways = {"held": held, f"linear, strength {strength}": trend, "fitted to scores": fitted}
        for name, policy in ways.items():
            yield _row(bench, size, name, policy, None, 0.0)
        bench.bench.close()
        begun, descent = time.monotonic(), descend(pipe, trend, cases[:SEEN], call.arguments)
        for step, found in enumerate(islice(descent, max(STEPS) + 1)):
            if step in STEPS:
                spent = time.monotonic() - begun
                yield _row(bench, size, f"descent, {step} steps", found.policy, found.loss, spent)
                bench.bench.close()
                begun = time.monotonic() - spent


def _row(bench: CaseBench, size: int, name: str, policy: Policy, loss: float | None, seconds: float) -> dict[str, Any]:
    lpips = bench.distances(policy)
    figures = {"lpips_mean": fmean(lpips), "lpips_median": median(lpips), "lpips_worst": max(lpips)}
    return {"keyframes": size, "weights": name, **figures, "loss": loss, "seconds": round(seconds, 1)}


if __name__ == "__main__":
    run(__doc__, "descent", measure)
