"""What each kind of acceleration reaches in LPIPS at equal network cost.

    python -m benchmarks.equal_cost demo demo-dit

Kinds: fewer steps by three solvers; FRDiff's uniform schedule; jumps with scores forecast to order 0, 1, 2; features of every
group of the model, and of groups together, held or forecast by Taylor's expansion to order 1, 2. What a step costs that gives
back a group is measured beside full steps, in turn, at the study's batch. At each cost a kind gets the most keyframes that
fit, in the same few shapes (fewer steps: every spacing); the shape is chosen on cases of the search, and what is stated is
measured on held-out pictures. The denoising loop of the best of each is timed, too, beside its computed cost.

Raw values are kept under runs/, so that a run that was stopped goes on.
"""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean, median
from typing import Any

from benchmarks.bench import CaseBench
from benchmarks.comparison import surely_worse
from benchmarks.equal_cost_table import figure, table
from benchmarks.kinds import Features, FewerSteps, FRDiff, Jumps, Kind, reusing
from benchmarks.record import heading, run
from frdiff_tune.measure.interval import Interval, bootstrap
from frdiff_tune.policy import Policy
from frdiff_tune.runtime import default_groups, find_denoiser, full_policy
from frdiff_tune.runtime.families import CONTROLNET, GUIDANCE
from frdiff_tune.search.setting import held_out_cases, open_pipeline, search_cases
from frdiff_tune.search.study import Study

COSTS = (0.2, 0.34, 0.5)
"""Network costs, as shares of the reference's."""
SOLVERS = ("DDIMScheduler", "DPMSolverMultistepScheduler", "UniPCMultistepScheduler")
ORDERS = (0, 1, 2)
TOGETHER = (("conv", "attention"), ("attention", "feed_forward"), ("shallow", "deep"))
"""Groups that are also given back together: the paper's, all of a transformer's block but its gates, all of a UNet's blocks."""
SEARCHED, HELD_OUT = 8, 24
"""Pictures that shapes are chosen on, and that figures are stated of."""
COMPUTING, REUSING = 3, 6
"""Steps of the run that times a group: with three kept, a forecast has all that its order needs."""
TIMED_PAIRS = (8, 32)
"""Pairs that a group is first timed with, and anew if it may be in reach."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """A kind's schedule at a network cost.

    Arguments:
        kind: The kind.
        target: The network cost that it may take, as a share of the reference's.
        shape: Of its keyframes, or the spacing of fewer steps.
        policy: The schedule.
        searched: Its mean LPIPS on the cases that it was chosen on.
    """

    kind: Kind
    target: float
    shape: str
    policy: Policy
    searched: float


def reuse_share(bench: CaseBench, names: tuple[str, ...], order: int, rounds: tuple[int, ...] = TIMED_PAIRS) -> Interval:
    """Returns what a step costs that gives back groups, as a share of a full step.

    Arguments:
        bench: Where it is timed.
        names: The groups.
        order: Of the Taylor expansion; 0 holds.
        rounds: Timed pairs of each round; the last that is needed counts.
    """
    steps = COMPUTING + REUSING
    policy, full = reusing(bench.pipe, steps, tuple(range(COMPUTING)), names, order), full_policy(bench.pipe, steps)
    for pairs in rounds:
        loops = bench.loop_ratios(policy, full, pairs)
        found = bootstrap([1 - (1 - ratio) * steps / REUSING for ratio in loops], "median")
        if found.low > max(COSTS):
            break
    return found


def group_sets(pipe: Any) -> list[tuple[str, ...]]:  # noqa: ANN401
    """Returns the model's own groups, each alone, and those that can be given back together."""
    own = default_groups(pipe)
    found: list[tuple[str, ...]] = [(name,) for name in own if name != CONTROLNET]
    found += [names for names in TOGETHER if set(names) <= set(own) and not _nested([own[name] for name in names])]
    return found


def _nested(groups: list[tuple[str, ...]]) -> bool:
    """Whether a site of one of the groups lies inside a site of another."""
    sites = [site for group in groups for site in group]
    return any(site.startswith(f"{outer}.") for site in sites for outer in sites)


def kinds(bench: CaseBench, shares: dict[str, Interval]) -> Iterator[Kind]:
    """Yields every kind; a group that is out of reach held is not tried forecast, which costs more.

    Arguments:
        bench: Where groups are timed.
        shares: Filled with what a step costs, by groups and order.
    """
    pipe, T = bench.pipe, bench.steps

    def timed(names: tuple[str, ...], order: int, rounds: tuple[int, ...] = TIMED_PAIRS) -> float:
        name = f"{' + '.join(names)}, order {order}"
        if name not in shares:
            shares[name] = reuse_share(bench, names, order, rounds)
            print(f"a step with {name}: {shares[name]}", flush=True)
        return shares[name].value

    yield from (FewerSteps(pipe, T, solver) for solver in SOLVERS)
    paper = timed(find_denoiser(pipe).family.paper_groups, 0, TIMED_PAIRS[1:])  # with score mixing even dear ones are in reach
    yield from (FRDiff(pipe, T, group, paper) for group in ("score mixing", "pure reuse"))
    yield from (Jumps(pipe, T, order) for order in ORDERS)
    for names in group_sets(pipe):
        held = Features(pipe, T, names, 0, timed(names, 0))
        yield held
        if held.least() <= max(COSTS) and names != (GUIDANCE,):
            yield from (Features(pipe, T, names, order, timed(names, order)) for order in ORDERS[1:])


def best_shape(found: dict[str, tuple[float, ...]]) -> str:
    """Returns the shape whose pictures are closest on average; the first of equal ones."""
    return min(found, key=lambda shape: fmean(found[shape]))


def choose(bench: CaseBench, kind: Kind, target: float) -> Chosen | None:
    """Returns a kind's schedule at a network cost, chosen on the bench's cases; None where the cost is out of reach."""
    policies = kind.within(target)
    found = {shape: bench.distances(policy) for shape, policy in policies.items()}
    for shape, lpips in found.items():
        print(f"cost {target}  {kind.family:12s} {kind.group:24s} {kind.order} {shape:20s} {fmean(lpips):.5f}", flush=True)
    if not found:
        return None
    shape = best_shape(found)
    return Chosen(kind, target, shape, policies[shape], fmean(found[shape]))


def out_of_reach(kind: Kind, target: float) -> dict[str, Any]:
    """Returns the row of a kind whose cheapest schedule costs more than ``target``."""
    return {"family": kind.family, "group": kind.group, "order": kind.order, "target": target, "least": kind.least()}


def row(bench: CaseBench, chosen: Chosen) -> dict[str, Any]:
    """Returns a schedule's row, measured on the bench's cases, as JSON values."""
    kind, policy, lpips = chosen.kind, chosen.policy, bench.distances(chosen.policy)
    return {
        "family": kind.family,
        "group": kind.group,
        "order": kind.order,
        "target": chosen.target,
        "shape": chosen.shape,
        "cost": kind.cost(policy),
        "steps": policy.sampling.num_inference_steps,
        "keyframes": [t for t, bit in enumerate(policy.keyframes) if bit == "1"],
        "lpips_searched": chosen.searched,
        "lpips_mean": asdict(bootstrap(lpips)),
        "lpips_median": median(lpips),
        "lpips_p90": bootstrap(lpips, "p90").value,
        "timed": None,
        "lpips": lpips,
        "digest": policy.digest,
    }


def mark(rows: list[dict[str, Any]]) -> None:
    """Notes whether rows are closer than the best of fewer steps, and of jumps: surely on average, and on how many pictures."""
    for family in ("fewer steps", "jumps"):
        for target in {row["target"] for row in rows}:
            alike = [row for row in rows if row["target"] == target and "lpips" in row]
            best = min((row for row in alike if row["family"] == family), key=_mean)
            for row in alike:
                closer = [mine < theirs for mine, theirs in zip(row["lpips"], best["lpips"], strict=True)]
                surely = surely_worse(best["lpips"], row["lpips"])
                row[f"closer_than_{family.replace(' ', '_')}"] = {"surely": surely, "pictures": sum(closer)}


def winners(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Returns the closest row of every family and, of features, of every group, at each cost."""
    best: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in sorted((row for row in rows if "lpips" in row), key=_mean):
        best.setdefault((row["target"], row["family"], row["group"] if row["family"] == "features" else ""), row)
    return list(best.values())


def _mean(row: dict[str, Any]) -> float:
    return float(row["lpips_mean"]["value"])


def time_rows(bench: CaseBench, rows: list[dict[str, Any]], policies: dict[str, Policy]) -> None:
    """Times the loops of rows in turn with a short anchor; notes them as shares of the reference's.

    Arguments:
        bench: Where they are timed.
        rows: Rows of ``row``.
        policies: Digest -> policy.
    """
    bench.warm_up()
    anchor = bench.anchor.policy
    assert anchor is not None, "the anchor is a full policy"
    reference = median(bench.loop_ratios(full_policy(bench.pipe, bench.steps), anchor))
    for row in rows:
        ratios = bench.loop_ratios(policies[row["digest"]], anchor)
        row["timed"] = asdict(bootstrap([ratio / reference for ratio in ratios], "median"))
        print(f"{row['family']} {row['group']}: cost {row['cost']:.3f}, timed {row['timed']['value']:.3f}", flush=True)


def measure(study: Study) -> dict[str, Any]:
    """Returns the rows of a study, as JSON values."""
    pipe, shares = open_pipeline(study), dict[str, Interval]()
    with closing(CaseBench(study, pipe, search_cases(study, pipe)[:SEARCHED])) as searched:
        searched.warm_up()
        every = list(kinds(searched, shares))
        asked = [(kind, target, choose(searched, kind, target)) for kind in every for target in COSTS]
    policies = {chosen.policy.digest: chosen.policy for _, _, chosen in asked if chosen}
    with closing(CaseBench(study, pipe, held_out_cases(study, pipe)[:HELD_OUT])) as held_out:
        rows = [row(held_out, chosen) if chosen else out_of_reach(kind, target) for kind, target, chosen in asked]
        mark(rows)
        time_rows(held_out, winners(rows), policies)
    return {
        **heading(study, pipe, f"python -m benchmarks.equal_cost {study.name}", HELD_OUT),
        "search_pictures": SEARCHED,
        "reference_steps": held_out.steps,
        "timed_pairs": list(TIMED_PAIRS),
        "reuse_step_share": {name: asdict(share) for name, share in shares.items()},
        "rows": rows,
    }


def show(result: dict[str, Any], path: Path) -> None:
    """Draws the figure beside the file, and prints the table."""
    figure(result, path.with_suffix(".png"))
    print(table(result))


if __name__ == "__main__":
    run(__doc__, "equal-cost", measure, show)
