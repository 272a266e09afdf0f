"""What features that are kept in fewer bits change: memory and LPIPS, on the embedded models.

    python -m benchmarks.cache demo demo-dit

One schedule that reuses much, keyframes every third step and every group of the paper reused between, on the held-out cases.
"""

from collections.abc import Iterator
from statistics import fmean, median
from typing import Any

from benchmarks.record import heading, run, shown
from frdiff_tune import apply_policy, keyframe_policy
from frdiff_tune.measure import Drawn, Lpips, blocks, pipe_device, references, render
from frdiff_tune.measure.bench import Bench
from frdiff_tune.runtime import find_denoiser
from frdiff_tune.runtime.storage import NARROW
from frdiff_tune.search.setting import cache_folder, held_out_cases, measuring, open_pipeline
from frdiff_tune.search.study import Study

EVERY = 3
PICTURES, BATCH = 24, 8


def measure(study: Study) -> dict[str, Any]:
    """Returns the rows of a study, as JSON values."""
    pipe = open_pipeline(study)
    rows = list(shown(_rows(study, pipe)))
    return {**heading(study, pipe, f"python -m benchmarks.cache {study.name}", PICTURES), "rows": rows}


def _rows(study: Study, pipe: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401
    settings, parts = measuring(study), blocks(held_out_cases(study, pipe)[:PICTURES], BATCH)
    with Bench(pipe) as bench:
        wanted = list(references(bench, parts, settings["steps"], settings["call"], cache_folder()))
    lpips = Lpips(pipe_device(pipe))
    groups = list(find_denoiser(pipe).family.paper_groups)
    T = settings["steps"]
    policy = keyframe_policy(pipe, T, range(0, T, EVERY), mixing=1.0, groups=groups)
    own: list[Any] = []
    for dtype in (None, *NARROW):
        with apply_policy(pipe, policy, cache_dtype=dtype) as applied:
            drawn = [render(applied, block, settings["call"]) for block in parts]
            distances = [
                value for pictures, reference in zip(drawn, wanted, strict=True) for value in lpips(Drawn(pictures), reference)
            ]
            own = own or drawn
            moved = [each for ours, plain in zip(drawn, own, strict=True) for each in lpips(Drawn(ours), Drawn(plain))]
            row = {
                "cache_dtype": dtype or str(find_denoiser(pipe).module.dtype).removeprefix("torch."),
                "cache_mib": applied.cache_bytes / 2**20,
                "lpips_mean": fmean(distances),
                "lpips_median": median(distances),
                "lpips_to_full_precision_mean": fmean(moved),
                "lpips_to_full_precision_worst": max(moved),
            }
        yield row


if __name__ == "__main__":
    run(__doc__, "cache", measure)
