"""How a dense end and the strength of the forecast change jumps: why the starting sets are what they are.

    python -m benchmarks.ends demo demo-dit

Keyframe sets that are dense early, with and without short last gaps, each with held and with linearly forecast scores of
several strengths, on the cases that the study searches with (held-out pictures stay unseen); mean, median and worst LPIPS.
"""

from collections.abc import Iterator
from contextlib import closing
from itertools import product
from statistics import fmean, median
from typing import Any

from benchmarks.bench import CaseBench
from benchmarks.record import heading, run, shown
from frdiff_tune.runtime import keyframe_policy
from frdiff_tune.search.setting import open_pipeline, search_cases
from frdiff_tune.search.starting import ramp
from frdiff_tune.search.study import Study

SETS = ((10, 4.0, (3, 2, 2, 1)), (14, 4.0, (2, 2, 1)), (14, 1.6, (2, 1, 1)))
"""Keyframes of 50 steps, growth of their gaps, last gaps."""
STRENGTHS = (-0.5, -0.25, 0.0, 0.25, 0.5, 1.0)


def measure(study: Study) -> dict[str, Any]:
    """Returns the rows of a study, as JSON values."""
    pipe = open_pipeline(study)
    with closing(CaseBench(study, pipe, search_cases(study, pipe))) as bench:
        rows = list(shown(_rows(bench)))
    return {**heading(study, pipe, f"python -m benchmarks.ends {study.name}", len(bench.cases)), "rows": rows}


def _rows(bench: CaseBench) -> Iterator[dict[str, Any]]:
    for (count, growth, gaps), last, strength in product(SETS, (False, True), STRENGTHS):
        T = bench.steps
        keyframes = ramp(T, round(count * T / 50), growth, gaps if last else ())
        jumps = keyframe_policy(bench.pipe, T, keyframes, 0.0, order=1, strength=strength, variable="epsilon")
        lpips = bench.distances(jumps)
        row = {
            "keyframes": list(keyframes),
            "growth": growth,
            "last_gaps": list(gaps) if last else [],
            "strength": strength,
            "lpips_mean": fmean(lpips),
            "lpips_median": median(lpips),
            "lpips_worst": max(lpips),
        }
        yield row


if __name__ == "__main__":
    run(__doc__, "ends", measure)
