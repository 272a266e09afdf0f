"""Keyframe sets by dynamic programming, and fitted jump scores, beside sets and forecasts that need no recording.

    python -m benchmarks.found demo demo-dit

Sets of four sizes: found in full runs of eight search cases, for three ways to weigh early errors, beside ramps with short last
gaps and evenly spread ones. Each with linear forecasts of several strengths, and with weights that were fitted to the same
eight runs, all the way or a part of it. LPIPS is of sixteen other search cases; held-out pictures stay unseen. Beside it
stands the error of the jumps that those eight runs predict, and in the head how well it puts the policies in order.
"""

from collections.abc import Iterator, Mapping
from contextlib import closing
from itertools import product
from statistics import fmean, median
from typing import Any

from scipy.stats import spearmanr

from benchmarks.bench import CaseBench
from benchmarks.keyframe_sets import even
from benchmarks.record import heading, run, shown
from frdiff_tune.measure import trajectory
from frdiff_tune.policy import Policy
from frdiff_tune.runtime import Trajectory, keyframe_policy
from frdiff_tune.search.dynamic import best_sets, segment_costs
from frdiff_tune.search.jump_error import jump_error
from frdiff_tune.search.score_fit import fitted_weights, with_fit
from frdiff_tune.search.setting import FOLLOWED, cache_folder, open_pipeline, search_cases
from frdiff_tune.search.starting import ramp
from frdiff_tune.search.study import Study

CASES = 16
SIZES = (8, 12, 17, 25)
"""Keyframes of 50 steps."""
EARLY = (0.5, 1, 1.5)
RAMPS = ((1.6, (2, 1, 1)), (4.0, (3, 2, 2, 1)))
"""Growth of the gaps, last gaps."""
STRENGTHS = (0.0, 0.25, -0.25, 1.0)
WINDOWS = (2, 3)
SHARES = ((1, 1, 1), (0.5, 0.5, 0.5), (0, 1, 1), (0, 0, 1), (0, 0.5, 0.5))
"""Of the way to fitted weights, for each third of the run."""


def measure(study: Study) -> dict[str, Any]:
    """Returns the rows of a study, as JSON values."""
    pipe, call = open_pipeline(study), study.file.call
    cases = search_cases(study, pipe)
    seen = trajectory(
        pipe, cases[:FOLLOWED], steps=call.num_inference_steps, call=call.arguments, folder=cache_folder()
    )
    with closing(CaseBench(study, pipe, cases[FOLLOWED : FOLLOWED + CASES])) as bench:
        rows = list(shown(_rows(bench, seen)))
    head = heading(study, pipe, f"python -m benchmarks.found {study.name}", CASES)
    return {**head, "rank_correlation": _order(rows), "rows": rows}


def _order(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Returns Spearman's rank correlation of the predicted error with the median LPIPS, over all policies."""
    medians = [row["lpips_median"] for row in rows]
    return {str(early): float(spearmanr([row["predicted"][str(early)] for row in rows], medians).statistic) for early in EARLY}


def _rows(bench: CaseBench, seen: Trajectory) -> Iterator[dict[str, Any]]:
    T, gram = bench.steps, seen.gram("epsilon")
    found = {early: best_sets(segment_costs(seen, "epsilon", early), T) for early in EARLY}
    for size in (round(of_fifty * T / 50) for of_fifty in SIZES):
        sets = {f"found, early {early}": sets[size] for early, sets in found.items()}
        sets |= {f"ramp {growth}": ramp(T, size, growth, last) for growth, last in RAMPS} | {"even": even(T, size)}
        for name, keyframes in sets.items():
            fits = {window: fitted_weights(gram, keyframes, window) for window in WINDOWS}
            for forecast, policy in _forecasts(bench.pipe, T, keyframes, fits):
                lpips = bench.distances(policy)
                errors = {str(early): jump_error(policy, seen, seen.times, early) for early in EARLY}
                row = {"size": size, "set": name, "keyframes": list(keyframes), **forecast}
                seen_in_pictures = {"lpips_mean": fmean(lpips), "lpips_median": median(lpips), "lpips_worst": max(lpips)}
                yield {**row, **seen_in_pictures, "predicted": errors}


def _forecasts(
    pipe: Any,  # noqa: ANN401
    T: int,
    keyframes: tuple[int, ...],
    fits: Mapping[int, Any],
) -> Iterator[tuple[dict[str, Any], Policy]]:
    """Yields jumps between keyframes: linear forecasts, then fitted ones."""
    for strength in STRENGTHS:
        jumps = keyframe_policy(pipe, T, list(keyframes), 0.0, order=1, strength=strength, variable="epsilon")
        yield {"strength": strength}, jumps
    held = keyframe_policy(pipe, T, list(keyframes), 0.0, order=1, strength=0.0, variable="epsilon")
    for window, shares in product(WINDOWS, SHARES):
        yield {"window": window, "shares": list(shares)}, with_fit(held, fits[window], shares)


if __name__ == "__main__":
    run(__doc__, "found", measure)
