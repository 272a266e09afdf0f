"""Where a picture counts as another composition: each metric's threshold that agrees best with LPIPS above 0.05.

    python -m benchmarks.flips demo demo-dit

LPIPS on AlexNet above 0.05 is what the project calls a flip. For every other paired metric at hand, all pictures of all
policies below are told apart by that, and the threshold is the one with the largest difference between the share of flips that
it finds and the share of other pictures that it takes for flips (Youden's J). ``auroc`` is the chance that the metric ranks a
flip as worse than a picture that is none: 1 where the two agree, 0.5 where the metric knows nothing of flips.
"""

import argparse
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from benchmarks.fid_latency import SEED, policies
from benchmarks.record import heading, save, shown
from frdiff_tune.measure import PAIRED, blocks, draw, load_cases, load_paired, pipe_device, references
from frdiff_tune.measure.bench import Bench, Contender
from frdiff_tune.search import Study, cache_folder, load_study, open_pipeline
from frdiff_tune.search.setting import measuring

FAMILIES = ("fewer steps", "jumps")
LINES = 32
BATCH = 16
METRICS = ("lpips", "psnr", "ssim", "latent_l2")
"""Those whose weights come with the project, and that pictures of 128 px suit."""

Values = dict[str, list[float]]


def drawn(study: Study, pipe: Any, pictures: int) -> Iterator[tuple[str, Values]]:  # noqa: ANN401
    """Yields policies with every metric's values of their pictures."""
    options = measuring(study)
    cases = load_cases(pipe, study.file.cases.held_out, min(LINES, pictures), first_seed=SEED, seeds=-(-pictures // LINES))
    parts, metrics = blocks(cases, BATCH), load_paired(METRICS, pipe_device(pipe))
    with Bench(pipe) as bench:
        wanted = list(references(bench, parts, options["steps"], options["call"], cache_folder()))
        for family, name, policy in policies(pipe, options["steps"]):
            if family in FAMILIES:
                found: Values = {metric.name: [] for metric in metrics}
                for part, reference in zip(parts, wanted, strict=True):
                    ours = draw(Contender(bench, policy, 0), part, options["call"])
                    for metric in metrics:
                        found[metric.name] += metric(ours, reference)
                print(study.name, family, name, flush=True)
                yield f"{family}: {name}", found


def threshold(name: str, values: Sequence[float], flips: Sequence[bool]) -> dict[str, float]:
    """Returns a metric's best threshold, and how well it tells flips.

    Arguments:
        name: Of the metric.
        values: Of all pictures.
        flips: Which of them are flips.
    """
    from torchmetrics.functional.classification import binary_auroc, binary_roc

    sign = 1.0 if PAIRED[name].better == "lower" else -1.0
    worse = sign * torch.tensor(values, dtype=torch.float64)
    ranks = worse.argsort().argsort().double() / len(values)  # torchmetrics takes scores in [0, 1]
    truth = torch.tensor(flips).long()
    wrong, right, places = binary_roc(ranks, truth)
    best = int((right - wrong).argmax())
    return {
        "threshold": sign * float(worse[(ranks - places[best]).abs().argmin()]),
        "flips_found": float(right[best]),
        "others_taken_for_flips": float(wrong[best]),
        "auroc": float(binary_auroc(ranks, truth)),
    }


def rows(everything: Sequence[tuple[str, str, Values]]) -> Iterator[dict[str, Any]]:
    """Yields a row per study and metric, and one over all studies.

    Arguments:
        everything: Study, policy, and the values of its pictures.
    """
    for study in (*dict.fromkeys(study for study, _, _ in everything), "all"):
        chosen = [values for name, _, values in everything if study in (name, "all")]
        every = {metric: [value for values in chosen for value in values[metric]] for metric in METRICS}
        flips = [value > PAIRED["lpips"].flip for value in every["lpips"]]
        for metric in METRICS[1:]:
            found = threshold(metric, every[metric], flips)
            yield {"study": study, "metric": metric, "pictures": len(flips), "flips": sum(flips), **found}


def main() -> None:
    """Measures the studies that the command line names, and writes JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("studies", nargs="+", help="bare names or paths; they need not have been tuned")
    parser.add_argument("--pictures", type=int, default=64, help=f"of each policy, in whole seeds of {LINES} prompts")
    given = parser.parse_args()
    everything: list[tuple[str, str, Values]] = []
    for name in given.studies:
        study = load_study(name)
        pipe = open_pipeline(study)
        everything += [(study.name, policy, values) for policy, values in drawn(study, pipe, given.pictures)]
    command = f"python -m benchmarks.flips {' '.join(given.studies)} --pictures {given.pictures}"
    result = {**heading(study, pipe, command, given.pictures), "study": given.studies}
    path = save({**result, "rows": list(shown(rows(everything)))}, "flips")
    print(f"Written: {path.name}")


if __name__ == "__main__":
    main()
