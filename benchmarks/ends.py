"""How a dense end and the strength of the forecast change jumps: why the starting sets are what they are.

    python -m benchmarks.ends demo demo-dit

Keyframe sets that are dense early, with and without short last gaps, each with held and with linearly forecast scores of
several strengths, on the cases that the study searches with (held-out pictures stay unseen); mean, median and worst LPIPS.
"""

import argparse
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import product
from typing import Any

from benchmarks.front import RAW, RESULTS
from benchmarks.held_out import HeldOut, mean
from benchmarks.record import save
from frdiff_tune.runtime import keyframe_policy
from frdiff_tune.search.setting import machine_of, open_pipeline, search_cases
from frdiff_tune.search.starting import ramp
from frdiff_tune.search.study import Study, load_study

SETS = ((10, 4.0, (3, 2, 2, 1)), (14, 4.0, (2, 2, 1)), (14, 1.6, (2, 1, 1)))
"""Keyframes of 50 steps, growth of their gaps, last gaps."""
STRENGTHS = (-0.5, -0.25, 0.0, 0.25, 0.5, 1.0)


def measure(study: Study) -> dict[str, Any]:
    """Returns the rows of a study, as JSON values."""
    pipe = open_pipeline(study)
    cases = search_cases(study, pipe)
    bench = HeldOut(study, pipe, cases, RAW)
    rows = list(_rows(bench, pipe))
    bench.bench.close()
    return {
        "study": study.name,
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": f"python -m benchmarks.ends {study.name}",
        "machine": machine_of(study, pipe).model_dump(mode="json"),
        "pictures": len(cases),
        "rows": rows,
    }


def _rows(bench: HeldOut, pipe: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401
    for (count, growth, gaps), last, strength in product(SETS, (False, True), STRENGTHS):
        T = bench.steps
        keyframes = ramp(T, round(count * T / 50), growth, gaps if last else ())
        jumps = keyframe_policy(pipe, T, keyframes, 0.0, order=1, strength=strength, variable="epsilon")
        lpips = sorted(bench.distances(jumps))
        row = {
            "keyframes": list(keyframes),
            "growth": growth,
            "last_gaps": list(gaps) if last else [],
            "strength": strength,
            "lpips_mean": mean(lpips),
            "lpips_median": lpips[len(lpips) // 2],
            "lpips_worst": lpips[-1],
        }
        print(*(f"{name} {value}" for name, value in row.items()), sep="  ", flush=True)
        yield row


def main() -> None:
    """Measures the studies that are named, and writes JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("studies", nargs="+", help="bare names or paths; they need not have been tuned")
    for name in parser.parse_args().studies:
        result = measure(load_study(name))
        save(result, RESULTS / f"ends-{result['study']}.json")


if __name__ == "__main__":
    main()
