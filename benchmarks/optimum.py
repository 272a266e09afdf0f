"""What a table holds: the fastest policy of a recorded table that keeps a level on the pictures of the held-out comparison.

    python -m benchmarks.optimum demo demo-dit

A table holds every policy of a finite space, but knows its LPIPS on a few pictures of the search alone. So its policies are
drawn on the held-out pictures, the fastest first, until one keeps the level. A policy draws the pictures that were hardest so
far first, and no more of them once what it has drawn breaks the level whatever the others give. What the search's pictures rule
out is not drawn: a median above ``CLOSE`` times the level. Times are the table's. The fastest is compared with fewer steps as
``benchmarks.front`` has measured them. It is chosen by the very pictures on which it is judged, so what is found is more than
any search can promise.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import fields
from statistics import fmean, median
from typing import Any, Literal

import numpy as np

from benchmarks import bench
from benchmarks.comparison import Resampling
from benchmarks.front import LEVELS, MEDIANS
from benchmarks.ground import Ground
from benchmarks.record import RESULTS, heading, run
from frdiff_tune.measure import Lpips
from frdiff_tune.policy import Policy
from frdiff_tune.search.setting import held_out_cases
from frdiff_tune.search.study import Study
from frdiff_tune.search.table import Row

Statistic = Literal["mean", "median"]
STATISTICS: Mapping[Statistic, Callable[..., float]] = {"mean": fmean, "median": median}
SEEDS = 3
"""Seeds per held-out prompt, as in the committed fronts."""
CLOSE = 5
"""Times a level: the median LPIPS on the search's pictures above which a policy is not drawn."""
FIRST = 4
"""Pictures that a policy draws first; then as many again as it has, and so on."""


class Judge:
    """Tells which policies keep a level on some pictures.

    Arguments:
        look: Policy and indexes of pictures -> their LPIPS.
        count: How many pictures there are.
    """

    def __init__(self, look: Callable[[Policy, list[int]], Sequence[float]], count: int) -> None:
        self._look, self.count = look, count
        self.seen: dict[str, dict[int, float]] = {}
        self._given: dict[int, list[float]] = {i: [] for i in range(count)}

    def keeps(self, policy: Policy, statistic: Statistic, level: float) -> bool:
        """Returns whether a policy keeps a level; draws what it needs to know."""
        seen = self.seen.setdefault(policy.digest, {})
        while not broken(seen, statistic, level, self.count):
            left = sorted({*range(self.count)} - {*seen}, key=self._hard, reverse=True)
            if not left:
                return STATISTICS[statistic](seen.values()) <= level
            drawn = dict(zip(left, self._look(policy, left[: max(FIRST, len(seen))]), strict=False))
            seen |= drawn
            for i, value in drawn.items():
                self._given[i].append(value)
        return False

    def _hard(self, picture: int) -> float:
        return fmean(self._given[picture] or [0.0])


def broken(seen: Mapping[int, float], statistic: Statistic, level: float, count: int) -> bool:
    """Returns whether a level is broken whatever the pictures give that are not drawn yet.

    Arguments:
        seen: LPIPS of those that are.
        statistic: Over all.
        level: At most this.
        count: How many pictures there are.
    """
    if statistic == "mean":
        return sum(seen.values()) > level * count
    return 2 * sum(value > level for value in seen.values()) > count


def faster(ground: Ground, statistic: Statistic, level: float) -> Iterator[Row]:
    """Yields the policies that may keep a level, the fastest first, of equally fast ones the closest in the search."""
    able = (row for row in ground.table.rows if not row.failure and median(row.lpips) <= CLOSE * level)
    yield from sorted(able, key=lambda row: (ground.point(row)[1], STATISTICS[statistic](row.lpips)))


def measure(study: Study) -> dict[str, Any]:
    """Returns the fastest policy at every level, and what every policy drew, as JSON values."""
    ground = Ground.load(study.name)
    pipe = ground.space.pipe
    levels: list[tuple[Statistic, float]] = [("mean", level) for level in LEVELS] + [("median", level) for level in MEDIANS]
    with closing(bench.CaseBench(study, pipe, held_out_cases(study, pipe, SEEDS))) as held_out:
        judge = Judge(held_out.distances_of, len(held_out.cases))
        best = [_best(ground, judge, statistic, level) for statistic, level in levels]
        head = heading(study, pipe, f"python -m benchmarks.optimum {study.name}", len(held_out.cases))
    rows = [_row(ground, row, judge.seen[row.digest]) for row in ground.table.rows if row.digest in judge.seen]
    return {**head, "optimum": best, "rows": sorted(rows, key=lambda row: row["latency_share"])}


def _best(ground: Ground, judge: Judge, statistic: Statistic, level: float) -> dict[str, Any]:
    """Returns the fastest policy that keeps a level, beside fewer steps there."""
    theirs = _fewer_steps(ground.study.name, statistic, level)
    found: dict[str, Any] = {"statistic": statistic, "lpips": level, "fewer_steps": theirs, "drawn": 0}
    for row in faster(ground, statistic, level):
        keeps = judge.keeps(ground.space.decode(row.params), statistic, level)
        found["drawn"] += 1
        share, pictures = ground.point(row)[1], len(judge.seen[row.digest])
        print(f"{statistic} {level}  NFE {row.nfe:3d}  {share:.3f}  {pictures} pictures  {keeps}", flush=True)
        if keeps:
            gain = None if theirs is None else theirs[0] / share
            found |= {"digest": row.digest, "nfe": row.nfe, "latency_share": share, "gain": gain}
            break
    return found


def _fewer_steps(name: str, statistic: Statistic, level: float) -> tuple[float, str] | None:
    """Returns the share of time, and the solver, of the best of fewer steps in the committed front."""
    kept = json.loads((RESULTS / f"front-{name}.json").read_text())["rows"]
    rows = [bench.Row(**{each.name: row[each.name] for each in fields(bench.Row)}) for row in kept]
    drawn = Resampling(rows, [row["latency_share"] for row in kept], np.mean if statistic == "mean" else np.median)
    return drawn.fewer_steps_at(drawn.means, level)


def _row(ground: Ground, row: Row, seen: Mapping[int, float]) -> dict[str, Any]:
    """Returns a policy as a row: what the search's pictures say, and what the held-out ones that it drew say."""
    values = list(seen.values())
    searched = {"search_mean": fmean(row.lpips), "search_median": median(row.lpips)}
    flips = sum(value > Lpips.flip for value in values)
    held = {"pictures": len(values), "mean": fmean(values), "median": median(values), "flips": flips}
    return {"digest": row.digest, "nfe": row.nfe, "latency_share": ground.point(row)[1], **searched, **held}


if __name__ == "__main__":
    run(__doc__, "optimum", measure)
