"""Searches that ours is compared with and that are orders of a table's policies."""

import json
from collections.abc import Iterator
from statistics import fmean

import numpy as np

from benchmarks.ground import Ground, Trace, listed
from benchmarks.record import RESULTS
from frdiff_tune.search.autofr import Learnt
from frdiff_tune.search.foresight import Outline
from frdiff_tune.search.table import Row


def at_random(ground: Ground, rng: np.random.Generator) -> Iterator[Row]:
    """Yields all policies, each as likely."""
    yield from (ground.table.rows[i] for i in rng.permutation(len(ground.table.rows)))


def uniform_grid(ground: Ground, rng: np.random.Generator) -> Iterator[Row]:
    """Yields FRDiff's policies: even keyframes in the reference's own run, groups that reuse, its score mixing or none."""
    steps, own = ground.space.reference_steps, ground.space.foresight.errors.own
    found = [
        row
        for row in ground.table.rows
        if (o := ground.outlines[row.digest]).groups and o.steps == steps and o.scheduler == own and _even(o)
    ]
    yield from (found[i] for i in rng.permutation(len(found)))


def _even(outline: Outline) -> bool:
    gaps = np.diff(outline.keyframes)
    return len(gaps) == 0 or bool(gaps.max() - gaps.min() <= 1)


def fewer_steps(ground: Ground, rng: np.random.Generator) -> Iterator[Row]:
    """Yields full runs with every step count and solver."""
    found = [row for row in ground.table.rows if len(ground.outlines[row.digest].keyframes) == ground.outlines[row.digest].T]
    yield from (found[i] for i in rng.permutation(len(found)))


def dynamic_programming(ground: Ground, rng: np.random.Generator) -> Iterator[Row]:
    """Yields, of every size, the jumps of held scores whose keyframes are of least error in recorded runs."""
    rows = _jumps(ground)
    errors = ground.space.foresight.errors
    sizes = sorted({len(ground.outlines[row.digest].keyframes) for row in rows})
    for i in rng.permutation(len(sizes)):
        same = [row for row in rows if len(ground.outlines[row.digest].keyframes) == sizes[i]]
        yield min(same, key=lambda row: errors.jump_error(ground.outlines[row.digest]))


def auto_fr(ground: Ground, seed: int, most: int) -> Trace:
    """Measures, of every size, the jumps whose keyframes are nearest to the steps that Auto-FR's gates leave open.

    What learning the gates took counts: its pictures, and twice as many for the way back, sixteen to an evaluation. Nothing is
    measured where ``benchmarks.autofr`` was not run.
    """
    file = RESULTS / f"autofr-{ground.study.name}.json"
    learnt = json.loads(file.read_text())["rows"] if file.is_file() else []

    def order(ground: Ground, rng: np.random.Generator) -> Iterator[Row]:
        rows = _jumps(ground)
        sizes = sorted({len(ground.outlines[row.digest].keyframes) for row in rows})
        for i in rng.permutation(len(sizes)):
            for each in learnt:
                own = {*Learnt(tuple(each["gates"]), 0.0, 0).nearest(sizes[i])}
                same = [row for row in rows if len(ground.outlines[row.digest].keyframes) == sizes[i]]
                yield min(same, key=lambda row: len(own ^ {*ground.outlines[row.digest].keyframes}))

    spent = 3 * sum(each["pictures"] for each in learnt) // len(ground.table.cases)
    return listed(order, spent, sum(each["seconds"] for each in learnt))(ground, seed, most)


def annealing(ground: Ground, rng: np.random.Generator) -> Iterator[Row]:
    """Yields what BudCache measures: for every budget, simulated annealing over keyframe sets, then hill climbing.

    A move goes to one of the sets that are nearest by keyframes that differ.

    References:
        | Budget-Constrained Step-Level Diffusion Caching (Lei et al., 2026), https://arxiv.org/abs/2606.13496
    """
    rows = _jumps(ground)
    sizes = sorted({len(ground.outlines[row.digest].keyframes) for row in rows})
    for i in rng.permutation(len(sizes)):
        same = [row for row in rows if len(ground.outlines[row.digest].keyframes) == sizes[i]]
        yield from _annealed(same, ground, rng)


def _annealed(rows: list[Row], ground: Ground, rng: np.random.Generator) -> Iterator[Row]:
    def near(row: Row) -> list[Row]:
        own = set(ground.outlines[row.digest].keyframes)
        others = [other for other in rows if other is not row]
        return sorted(others, key=lambda other: len(own ^ set(ground.outlines[other.digest].keyframes)))[:3]

    now = rows[int(rng.integers(len(rows)))]
    yield now
    for temperature in np.geomspace(0.5, 0.02, 2 * len(rows)):
        if around := near(now):
            other = around[int(rng.integers(len(around)))]
            yield other
            worse = np.log(fmean(other.lpips) + 1e-9) - np.log(fmean(now.lpips) + 1e-9)
            now = other if rng.random() < np.exp(-max(worse, 0.0) / temperature) else now
    while True:
        around = near(now)
        yield from around
        best = min([now, *around], key=lambda row: fmean(row.lpips))
        if best is now:
            return
        now = best


def _jumps(ground: Ground) -> list[Row]:
    """Returns the policies that jump with held scores in the reference's own run, and reuse nothing."""
    steps, own = ground.space.reference_steps, ground.space.foresight.errors.own
    return [
        row
        for row in ground.table.rows
        if (o := ground.outlines[row.digest]).jumps
        and not o.groups
        and (o.steps, o.scheduler, o.order, o.shares) == (steps, own, 0, ())
        and o.nfe == len(o.keyframes)
    ]
