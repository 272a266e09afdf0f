"""The paper's figure, measured: how far the set of pictures moves from the full-step ones as a call becomes faster.

    python -m benchmarks.fid_latency demo demo-dit
    python -m benchmarks.fid_latency demo --pictures 1000 --metric fid     where Inception's weights are at hand

Every policy draws the same seeds as the reference, so the reference itself would be at 0. A Fréchet distance depends on the
number of pictures, which is part of its name; it compares within this table, not with papers. Latency is that of a call of one
picture, timed in turn with the bare pipeline's (A B B A), as the median of the paired ratios with its 95 % interval.

References:
    | FRDiff: Feature Reuse for Universal Training-free Acceleration of Diffusion Models (So et al., 2024), figure 1
    | https://arxiv.org/abs/2312.03517
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean, median
from typing import Any

from benchmarks.record import heading, save, shown
from frdiff_tune import frdiff_policy, full_policy, keyframe_policy
from frdiff_tune.measure import (
    Case,
    Drawn,
    blocks,
    draw,
    load_cases,
    load_paired,
    load_sets,
    paired_ratio,
    pipe_device,
    references,
    time_interleaved,
    warm_up,
)
from frdiff_tune.measure.bench import Bench, Contender
from frdiff_tune.measure.timing import arguments_of
from frdiff_tune.policy import Policy
from frdiff_tune.search import Study, cache_folder, load_study, open_pipeline
from frdiff_tune.search.setting import measuring

FEWER = (25, 17, 10, 5)
INTERVALS = (2, 3, 5)
LINES = 32  # of the held-out file; more pictures are more seeds of them
BATCH = 16
PAIRS = 9
SEED = 2_000_000  # seeds that neither a search nor an export uses
FAMILIES = ("fewer steps", "FRDiff", "feature reuse", "jumps")
PAIRED = ("lpips", "psnr", "ssim", "latent_l2")


def policies(pipe: Any, steps: int) -> Iterator[tuple[str, str, Policy]]:  # noqa: ANN401
    """Yields family, name and policy of everything that is compared."""
    for count in FEWER:
        yield "fewer steps", f"{count} steps", full_policy(pipe, count)
    for interval in INTERVALS:
        yield "FRDiff", f"every {interval}", frdiff_policy(pipe, steps, interval)
    for interval in INTERVALS:
        yield "feature reuse", f"every {interval}", frdiff_policy(pipe, steps, interval, score_mixing=False)
    for interval in INTERVALS:
        yield "jumps", f"every {interval}", keyframe_policy(pipe, steps, range(0, steps, interval), mixing=0.0)


class Comparison:
    """Policies beside the reference on the same seeds.

    Arguments:
        study: The study that says how the pipeline is called.
        pipe: Its pipeline.
        cases: What is drawn.
        metric: A metric between sets.
        weights: Folder of its weights.
    """

    def __init__(self, study: Study, pipe: Any, cases: Sequence[Case], metric: str, weights: Path | None) -> None:  # noqa: ANN401
        options = measuring(study)
        self.steps, self.call, self.cases = options["steps"], dict(options["call"]), cases
        self.metric, self.weights, self.device = metric, weights, pipe_device(pipe)
        self.parts, self.bench = blocks(cases, BATCH), Bench(pipe)
        self.paired = load_paired(PAIRED, self.device)
        self.wanted: list[Drawn] = []

    def rows(self, families: Sequence[str]) -> Iterator[dict[str, Any]]:
        """Yields a row per policy of some families."""
        load_sets([self.metric], self.device, self.weights)  # weights that are missing stop it here
        self.wanted = list(references(self.bench, self.parts, self.steps, self.call, cache_folder()))
        with self.bench:
            for family, name, policy in policies(self.bench.pipe, self.steps):
                if family in families:
                    yield {"family": family, "policy": name, "nfe": policy.nfe, **self._row(policy)}

    def _row(self, policy: Policy) -> dict[str, Any]:
        candidate = Contender(self.bench, policy, 0)
        (between,) = load_sets([self.metric], self.device, self.weights)
        values: dict[str, list[float]] = {name: [] for name in PAIRED}
        for part, wanted in zip(self.parts, self.wanted, strict=True):
            drawn = draw(candidate, part, self.call)
            between.add(drawn, wanted)
            for metric in self.paired:
                values[metric.name] += metric(drawn, wanted)
        figures = {f"{name}_{what.__name__}": what(each) for name, each in values.items() for what in (fmean, median)}
        return {**self._latency(candidate), between.title: between.value()[0], **figures}

    def _latency(self, candidate: Contender) -> dict[str, float]:
        bare, arguments = Contender(self.bench, None, self.steps), arguments_of(self.cases, self.call, 1)
        warm_up(candidate, arguments, self.device)
        pairs = list(time_interleaved(candidate, bare, arguments, range(PAIRS), self.device))
        ratio = paired_ratio([pair.first.total_ms for pair in pairs], [pair.second.total_ms for pair in pairs])
        return {"latency": ratio.value, "latency_low": ratio.low, "latency_high": ratio.high}


def figure(rows: Sequence[dict[str, Any]], title: str, path: Path, pictures: int) -> None:
    """Draws the distance over latency, a line per family."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    metric = next(name for name in rows[0] if name.endswith(f"_{pictures}") or name.endswith("k"))
    made, axes = pyplot.subplots(figsize=(7, 4.6), layout="constrained")
    for family in dict.fromkeys(row["family"] for row in rows):
        line = sorted((row["latency"], row[metric], row["policy"]) for row in rows if row["family"] == family)
        axes.plot([x for x, _, _ in line], [y for _, y, _ in line], "o-", label=family)
        for x, y, name in line:
            axes.annotate(name, (x, y), textcoords="offset points", xytext=(5, 4), fontsize=7)
    axes.set(yscale="log", xlabel="time of a call over the full-step pipeline's", ylabel=f"{metric} (lower is closer)")
    axes.set_title(f"{title}: distance from the full-step pictures, {pictures} same seeds", fontsize=10)
    axes.margins(x=0.12)
    axes.grid(alpha=0.3)
    axes.legend()
    made.savefig(path, dpi=130)
    pyplot.close(made)


def main() -> None:
    """Measures the studies that the command line names; writes JSON and a figure each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("studies", nargs="+", help="bare names or paths; they need not have been tuned")
    parser.add_argument("--pictures", type=int, default=256, help=f"rounded up to whole seeds of {LINES} prompts")
    parser.add_argument("--families", nargs="+", choices=FAMILIES, default=FAMILIES, help="what is compared")
    parser.add_argument("--metric", default="fd_alex", help="fd_alex, fid or kid")
    parser.add_argument("--weights", type=Path, help="folder of the metric's weights")
    given = parser.parse_args()
    for name in given.studies:
        study = load_study(name)
        pipe = open_pipeline(study)
        lines = min(LINES, given.pictures)
        seeds = -(-given.pictures // lines)
        cases = load_cases(pipe, study.file.cases.held_out, lines, first_seed=SEED, seeds=seeds)
        rows = list(shown(Comparison(study, pipe, cases, given.metric, given.weights).rows(given.families)))
        command = f"python -m benchmarks.fid_latency {study.name} --pictures {len(cases)} --metric {given.metric}"
        command += "" if given.families == FAMILIES else " --families " + " ".join(f"'{family}'" for family in given.families)
        place = f"fid-latency-{study.name}" + ("" if pipe_device(pipe).type == "cpu" else f"-{pipe_device(pipe).type}")
        path = save({**heading(study, pipe, command, len(cases)), "rows": rows}, place)
        figure(rows, study.name, path.with_suffix(".png"), len(cases))
        print(f"{path}, {path.with_suffix('.png')}", flush=True)


if __name__ == "__main__":
    main()
