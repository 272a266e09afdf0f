"""Our front beside fewer steps by every solver and the known policies, on held-out cases.

    python -m benchmarks.front demo demo-dit --seeds 3 --readme

Every policy draws the same held-out pictures (each prompt with so many seeds); LPIPS is against the full-step reference of
the same seed, latency is the whole call, timed in turn with a short anchor run.

Solvers and spacings of fewer steps are first screened at 12 and at 25 steps, on 32 pictures and then on all. A few pictures
that flip carry a mean, so a solver is left out only if its mean LPIPS is above the best one's by more than 5 %, and in 97.5 %
of paired bootstrap draws; of spacings that agree within 5 % only the first is kept. What is left at 12 is measured at all
counts up to 15, what is left at 25 at all from 20 on (the pipeline's own at the reference's count, too). All LPIPS are taken
first, then all times. Raw values are kept under runs/, so that a run that was stopped goes on; ``--only known`` measures what
needs no tuned study. Known policies do not change from one version to the next: where an earlier result drew the same pictures
with them, its selection and its LPIPS are taken, and only their times are measured; ``--screen`` measures all anew.

The front of policies of schema 1, whose weights came from formulas, is compared as it was recorded (``front-schema-1-*.json``,
the same pictures, LPIPS and share of the reference's time). These shares were measured on another day and machine, so gains
over it have an uncertainty of time that their intervals leave out.
"""

import argparse
import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from statistics import fmean, median
from typing import Any

import numpy as np

from benchmarks.bench import CaseBench, Row
from benchmarks.comparison import SCHEMA_1, Estimate, Resampling, is_known, is_ours, is_searched, surely_worse
from benchmarks.front_table import figure, replace_block, summary, table
from benchmarks.record import RESULTS, heading, save
from frdiff_tune.policy import Policy
from frdiff_tune.runtime import frdiff_policy, full_policy, keyframe_policy
from frdiff_tune.search.objective import non_dominated
from frdiff_tune.search.outcome import POLISHED
from frdiff_tune.search.pareto import Front, front
from frdiff_tune.search.setting import held_out_cases, open_pipeline
from frdiff_tune.search.solvers import runnable
from frdiff_tune.search.starting.timestep_lists import aligned_keyframes
from frdiff_tune.search.study import Study, load_study

STEPS = {12: (4, 6, 8, 10, 12, 15), 25: (20, 25, 30, 40)}
"""Step count of the screening -> counts that are measured of the solvers that come near the best there."""
SPACINGS = ("trailing", "leading", "linspace")
INTERVALS = (2, 3, 5)
ALIGNED = (10, 20, 30)
"""Timesteps of "Align Your Steps" lists."""
LEVELS = (0.001, 0.003, 0.01, 0.03)
"""Mean LPIPS at which times are compared with fewer steps."""
SCHEMA_1_LEVELS = (0.005, 0.015)
"""Mean LPIPS at which they are with the front of schema 1."""
MEDIANS = (0.001,)
"""Median LPIPS at which they are."""
AGREE = 1e-3
"""LPIPS by which two machines may differ on the same picture."""
SCREENS = (2, None)
"""Blocks of 16 pictures that solvers are screened on, in rounds; None: all."""
SAME, EQUAL = 0.05, 0.001
"""Relative differences of mean LPIPS below which two spacings of a solver count as one, and two solvers (Euler is DDIM)."""

Named = tuple[str, str, str, Policy]  # name, family, group, policy


def fewer_steps(held_out: CaseBench, solvers: dict[str, Any]) -> Iterator[Named]:
    """Yields fewer steps by the solvers that the screening leaves, at the counts that it leaves them."""
    pipe, near = held_out.pipe, {n: list(solvers) for n in STEPS}
    for parts in SCREENS:
        for n in STEPS:
            found = {label: _fewer(held_out, solvers[label], n, parts) for label in near[n]}
            near[n] = near_best(found, twins=parts is not None)
    for n, counts in STEPS.items():
        for label in near[n]:
            for steps in counts:
                policy = full_policy(pipe, steps, scheduler=solvers[label])
                yield f"{label}, {steps} steps", "fewer steps", label, policy
    steps, whole = held_out.steps, full_policy(pipe, held_out.steps)
    for label in solvers:
        if full_policy(pipe, steps, scheduler=solvers[label]).digest == whole.digest:
            yield f"{label}, {steps} steps", "fewer steps", label, whole


def _fewer(held_out: CaseBench, solver: Any, steps: int, parts: int | None) -> tuple[float, ...]:  # noqa: ANN401
    return held_out.distances(full_policy(held_out.pipe, steps, scheduler=solver), parts=parts)


def near_best(found: dict[str, tuple[float, ...]], twins: bool) -> list[str]:
    """Returns whose LPIPS is not surely worse than the best's; without twins: nor the same as an earlier one's."""
    best, kept = min(found.values(), key=fmean), list[str]()
    for label, values in found.items():
        worse = fmean(values) > (1 + SAME) * fmean(best) and surely_worse(values, best)
        again = not twins and any(_apart(values, found[other]) <= _same(label, other) for other in kept)
        print(f"screened on {len(values)}: {label} {fmean(values):.5f} {'worse' * worse or 'the same' * again}", flush=True)
        if not worse and not again:
            kept.append(label)
    return kept


def _apart(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    return abs(fmean(a) - fmean(b)) / max(fmean(a), fmean(b))


def _same(a: str, b: str) -> float:
    """Returns how far two solvers may be apart to count as one: more where only their spacing differs."""
    return SAME if a.split("/")[0] == b.split("/")[0] else EQUAL


def known(pipe: Any, steps: int) -> Iterator[Named]:  # noqa: ANN401
    """Yields FRDiff's uniform schedule with and without score mixing, and jumps: uniform ones, and those of a timestep list."""
    for every in INTERVALS:
        for mixing in (True, False):
            name = f"every {every}, {'with' if mixing else 'without'} score mixing"
            yield name, "FRDiff", "", frdiff_policy(pipe, steps, every, score_mixing=mixing)
        for order in (0, 1):
            jumps = keyframe_policy(pipe, steps, range(0, steps, every), 0.0, order=order, variable="epsilon")
            yield f"every {every}, order {order}", "jump", "", jumps
    for size in ALIGNED:
        if (keyframes := aligned_keyframes(pipe, steps, steps, size)) is not None:
            jumps = keyframe_policy(pipe, steps, keyframes, 0.0, variable="epsilon")
            yield f"timesteps of Align Your Steps, {len(keyframes)}", "jump", "", jumps


def recalled(held_out: CaseBench, file: Path, solvers: dict[str, Any]) -> Iterator[Named]:
    """Yields the known policies of an earlier result on the same pictures, their LPIPS taken from there.

    The first that differs from the reference draws a block anew, so that another model or other cases end in an error.

    Arguments:
        held_out: Measures on held-out cases.
        file: Where the earlier result is.
        solvers: Label -> solver that runs on the pipeline.
    """
    policies = {named[:3]: named[3] for named in known(held_out.pipe, held_out.steps)}
    checked = False
    for row in json.loads(file.read_text())["rows"]:
        key = row["name"], row["family"], row["group"]
        if row["group"] in solvers:
            policies[key] = full_policy(held_out.pipe, row["steps"], scheduler=solvers[row["group"]])
        if key in policies and len(row["lpips"]) == len(held_out.cases):
            if not checked and max(row["lpips"]) > AGREE:
                drawn = held_out.distances(policies[key], parts=1)
                agree = np.allclose(drawn, row["lpips"][: len(drawn)], atol=AGREE, rtol=0)
                assert agree, f"{file} is of other pictures: use --screen"
                checked = True
            held_out.recall(policies[key], row["lpips"])
            yield (*key, policies[key])


def schema_1(study: Study, pictures: int) -> tuple[list[Row], list[float]]:
    """Returns what the search of schema 1 proposed, recorded on the same pictures, and its shares of the reference's time."""
    file = RESULTS / f"front-schema-1-{study.name}.json"
    recorded = json.loads(file.read_text())["rows"] if file.is_file() else []
    rows = [row for row in recorded if row["family"] in ("found", "starting") and len(row["lpips"]) == pictures]
    fields = ("name", "group", "steps", "nfe", "lpips", "ratios")
    policies = [Row(family=SCHEMA_1, **{name: row[name] for name in fields}) for row in rows]
    return policies, [row["latency_share"] for row in rows]


def ours(found: Front) -> Iterator[Named]:
    """Yields the study's front without the known policies on it, and what was closest at each number of network calls.

    The search's pictures cannot tell neighbours on the front apart, so what a lucky one hides is measured, too; the choice
    is made by the search's figures alone.
    """
    trials = [point for point in found.points if not point.trial.known and not is_plain(point.policy)]
    chosen = {point.trial.number for point in found.best} | {trial.number for trial in non_dominated([p.trial for p in trials])}
    closest: dict[int, Any] = {}
    for point in sorted(trials, key=lambda p: p.trial.lpips.value):
        closest.setdefault(point.policy.nfe, point)
    chosen |= {point.trial.number for point in closest.values()}
    for point in trials:
        if point.trial.number in chosen:
            family = "starting" if point.trial.family.startswith("starting") else "found"
            yield f"trial {point.trial.number}{', polished' * (point.trial.family == POLISHED)}", family, "", point.policy


def is_plain(policy: Policy) -> bool:
    """Whether every step computes: fewer steps by some solver, whoever proposed it."""
    return policy.sampling.grid is None and policy.nfe == policy.T and not policy.masks


def measure(study: Study, seeds: int, screen: bool) -> dict[str, Any]:
    """Returns all rows of a study and what follows from them, as JSON values.

    Arguments:
        study: A tuned study.
        seeds: Seeds per held-out prompt.
        screen: Whether known policies are screened anew.
    """
    pipe = open_pipeline(study)
    found = front(study)
    with closing(CaseBench(study, pipe, held_out_cases(study, pipe, seeds))) as held_out:
        everything = list(_all(study, held_out, found, screen))
        held_out.warm_up()
        reference = held_out.ratios(None)
        middle = median(reference)
        rows = [held_out.row(*named) for named in everything]
        latency = [median(row.ratios) / middle for row in rows]
        anchor_ms = held_out.anchor_ms()
        recorded, shares = schema_1(study, len(held_out.cases))
        rows, latency = [*rows, *recorded], [*latency, *shares]
    return {
        **heading(study, pipe, f"python -m benchmarks.front {study.name} --seeds {seeds}", len(held_out.cases)),
        "trials": len(found.points) + len(found.stopped),
        "reference": {"steps": held_out.steps, "latency_ms": middle * anchor_ms, "pairs": len(reference)},
        "rows": [
            {**asdict(row), "latency_share": share, "latency_ms": share * middle * anchor_ms, "lpips_mean": fmean(row.lpips)}
            for row, share in zip(rows, latency, strict=True)
        ],
        "figures": figures(rows, latency),
    }


def _all(study: Study, held_out: CaseBench, found: Front | None, screen: bool) -> Iterator[Named]:
    """Yields every policy once, its LPIPS measured; without a front only the known ones."""
    solvers = runnable(held_out.pipe, study.space.steps.scheduler, SPACINGS)
    earlier = [RESULTS / f"{kind}-{study.name}.json" for kind in ("front", "front-schema-1")]
    sources = [] if screen else [recalled(held_out, file, solvers) for file in earlier if file.is_file()][:1]
    sources = sources or [fewer_steps(held_out, solvers), known(held_out.pipe, held_out.steps)]
    seen: set[str] = set()
    for source in sources if found is None else [ours(found), *sources]:
        for named in source:
            if named[3].digest not in seen:
                seen.add(named[3].digest)
                lpips = fmean(held_out.distances(named[3]))
                print(f"{named[1]:12s} {named[0]:48s} NFE {named[3].nfe:3d}  LPIPS {lpips:.5f}", flush=True)
                yield named


def figures(rows: list[Row], latency: list[float]) -> dict[str, Any]:
    """Returns gains at equal LPIPS and hypervolumes, with 95 % intervals over pictures."""
    drawn = Resampling(rows, latency)
    gains, bests = dict[str, Any](), dict[str, Any]()
    for name, each, levels in (("", drawn, LEVELS), ("median_", Resampling(rows, latency, np.median), MEDIANS)):
        for level in levels:
            gains[f"gain_at_{name}lpips_{level}"] = asdict(each.gain_at(level))
            bests[f"best_fewer_steps_at_{name}lpips_{level}"] = each.fewer_steps_at(each.means, level)
    over = {f"over_schema_1_at_lpips_{level}": asdict(drawn.gain_over_schema_1(level)) for level in SCHEMA_1_LEVELS}
    volumes: dict[str, Estimate] = {
        "hypervolume_ours": drawn.volume(is_ours),
        "hypervolume_found": drawn.volume(is_searched),
        "hypervolume_known": drawn.volume(is_known),
        "hypervolume_ours_minus_known": drawn.volume_gain(is_ours, is_known),
        "hypervolume_found_minus_known": drawn.volume_gain(is_searched, is_known),
        "hypervolume_found_minus_starting": drawn.volume_gain(is_searched, lambda row: row.family == "starting"),
    }
    return {**gains, **bests, **over, **{name: asdict(volume) for name, volume in volumes.items()}}


def main() -> None:
    """Measures the studies that are named, and writes JSON, figure and table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("studies", nargs="+", help="bare names or paths; each must have been tuned")
    parser.add_argument("--seeds", type=int, default=3, help="seeds per held-out prompt")
    parser.add_argument("--readme", action="store_true", help="put the tables into the two README.md")
    parser.add_argument("--screen", action="store_true", help="choose and draw known policies anew")
    parser.add_argument("--only", choices=["known"], help="measure the LPIPS of known policies, ahead of the rest")
    given = parser.parse_args()
    results = []
    for name in given.studies:
        if given.only:
            study = load_study(name)
            pipe = open_pipeline(study)
            with closing(CaseBench(study, pipe, held_out_cases(study, pipe, given.seeds))) as held_out:
                list(_all(study, held_out, None, given.screen))
            continue
        result = measure(load_study(name), given.seeds, given.screen)
        path = save(result, f"front-{result['study']}")
        figure(result, path.with_suffix(".png"))
        results.append(result)
        print(table(result))
    if given.readme:
        replace_block(Path("README.md"), "results", summary(results))
        replace_block(Path("benchmarks/README.md"), "results", "\n".join(map(table, results)))


if __name__ == "__main__":
    main()
