"""What a table holds: the best policies of a recorded table, drawn on the pictures of the held-out comparison.

    python -m benchmarks.optimum demo demo-dit

A table holds every policy of a finite space, but knows its LPIPS on a few pictures of the search alone. So its front, the front
of what is left without that, and so on, by mean and by median LPIPS in turn, are drawn on the held-out pictures until so many
policies are. Times are the table's. The fastest that keeps a level is compared with fewer steps as ``benchmarks.front`` has
measured them. It is chosen by the very pictures on which it is judged, so what is found is more than any search can promise.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import fields
from itertools import cycle, islice
from statistics import fmean, median
from typing import Any

import numpy as np

from benchmarks import bench
from benchmarks.comparison import Resampling, fastest_at
from benchmarks.front import LEVELS, MEDIANS
from benchmarks.ground import Ground
from benchmarks.record import RESULTS, heading, run
from frdiff_tune.measure import Lpips
from frdiff_tune.search.setting import held_out_cases
from frdiff_tune.search.study import Study
from frdiff_tune.search.table import Row

SEEDS = 3
"""Seeds per held-out prompt, as in the committed fronts."""
COUNT = 28
"""Policies that are drawn."""
SHARES = (0.15, 0.4)
"""Time over the reference's between which they lie: all that matters at the levels, and nothing that costs much to draw."""
CLOSE = 0.005
"""Median LPIPS that they have at most."""


def nearest(ground: Ground) -> Iterator[Row]:
    """Yields the policies nearest to the table's fronts: those of one front after the other, by mean and median in turn."""
    able = (row for row in ground.table.rows if not row.failure and median(row.lpips) <= CLOSE)
    left = {row.digest: row for row in able if SHARES[0] <= ground.point(row)[1] <= SHARES[1]}
    statistics: tuple[Callable[[Sequence[float]], float], ...] = (fmean, median)
    for statistic in cycle(statistics):
        if not left:
            return
        best = float("inf")
        for row in sorted(left.values(), key=lambda row: (ground.point(row)[1], statistic(row.lpips))):
            if statistic(row.lpips) < best:
                best = statistic(row.lpips)
                yield left.pop(row.digest)


def measure(study: Study) -> dict[str, Any]:
    """Returns the policies and the best of them at every level, as JSON values."""
    ground = Ground.load(study.name)
    pipe = ground.space.pipe
    rows = []
    with closing(bench.CaseBench(study, pipe, held_out_cases(study, pipe, SEEDS))) as held_out:
        for row in islice(nearest(ground), COUNT):
            share, lpips = ground.point(row)[1], held_out.distances(ground.space.decode(row.params))
            print(f"NFE {row.nfe:3d}  {share:.3f}  table {fmean(row.lpips):.5f}  held out {fmean(lpips):.5f}", flush=True)
            searched = {"search_mean": fmean(row.lpips), "search_median": median(row.lpips)}
            held = {"mean": fmean(lpips), "median": median(lpips), "flips": sum(value > Lpips.flip for value in lpips)}
            rows.append({"digest": row.digest, "nfe": row.nfe, "latency_share": share, **searched, **held})
        head = heading(study, pipe, f"python -m benchmarks.optimum {study.name}", len(held_out.cases))
    by_mean, by_median = (_compared(study.name, statistic) for statistic in (np.mean, np.median))
    levels = [("mean", level, by_mean) for level in LEVELS] + [("median", level, by_median) for level in MEDIANS]
    best = [_best(rows, statistic, level, drawn) for statistic, level, drawn in levels]
    for each in best:
        print(each)
    return {**head, "optimum": best, "rows": rows}


def _compared(name: str, statistic: Any) -> Resampling:  # noqa: ANN401
    """Returns what the committed front holds, fewer steps among it."""
    kept = json.loads((RESULTS / f"front-{name}.json").read_text())["rows"]
    rows = [bench.Row(**{each.name: row[each.name] for each in fields(bench.Row)}) for row in kept]
    return Resampling(rows, [row["latency_share"] for row in kept], statistic)


def _best(rows: list[dict[str, Any]], statistic: str, level: float, drawn: Resampling) -> dict[str, Any]:
    """Returns the fastest policy that keeps a level, beside fewer steps there."""
    ours = fastest_at([(row[statistic], row["latency_share"]) for row in rows], level)
    theirs = drawn.fewer_steps_at(drawn.means, level)
    gain = theirs[0] / ours if ours is not None and theirs is not None else None
    return {"statistic": statistic, "lpips": level, "latency_share": ours, "fewer_steps": theirs, "gain": gain}


if __name__ == "__main__":
    run(__doc__, "optimum", measure)
