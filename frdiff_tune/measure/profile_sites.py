"""How long each site's own modules run in a full network call: by these a group's saving is shared among its sites."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from statistics import fmean
from typing import Any

import torch

from frdiff_tune.measure.stopwatch import Clock, Subject, clock_of
from frdiff_tune.runtime import Site, discover_sites, find_denoisers
from frdiff_tune.runtime.families import CONTROLNET, GUIDANCE

NO_MODULE = (GUIDANCE, CONTROLNET)


def site_times(pipe: Any, subject: Subject, arguments: dict[str, Any], device: torch.device) -> dict[str, float]:  # noqa: ANN401
    """Returns the mean time of a site's skipped modules per call of theirs, in ms, in one run of the bare pipeline.

    Modules inside others are timed with them, so the times of sites that lie inside each other overlap.

    Arguments:
        pipe: The pipeline.
        subject: The bare pipeline, as it is run.
        arguments: Its call arguments.
        device: Where the networks run.
    """
    subject.ready()
    clock = clock_of(device)
    with watched_sites(pipe, clock) as counts:
        subject(**arguments)
    clock.synchronize()
    spans = {site: [clock.between(f"{site} {k}", f"{site} {k} end") for k in range(n)] for site, n in counts.items()}
    return {site: fmean(times[1:] or times) for site, times in spans.items() if times}


@contextmanager
def watched_sites(pipe: Any, clock: Clock) -> Iterator[dict[str, int]]:  # noqa: ANN401
    """Stamps the beginning and the end of every site's modules; yields how often each has run."""
    modules = {denoiser.component: denoiser.module for denoiser in find_denoisers(pipe)}
    counts: dict[str, int] = {}
    handles: list[Any] = []
    try:
        for site in discover_sites(pipe):
            if site.kind not in NO_MODULE:
                network = modules[site.name.partition(".")[0]]
                first, last = (network.get_submodule(path) for path in _ends(site))
                counts[site.name] = 0
                handles.append(first.register_forward_pre_hook(_begun(site.name, counts, clock)))
                handles.append(last.register_forward_hook(_ended(site.name, counts, clock)))
        yield counts
    finally:
        for handle in handles:
            handle.remove()


def _ends(site: Site) -> Sequence[str]:
    """Returns the first and the last module that a reuse of the site leaves out, by path inside the denoiser."""
    path = site.name.partition(".")[2]
    if site.kind == "convolution":
        return f"{path}.norm1", f"{path}.conv1"
    if site.kind == "fused":
        block = path.rpartition(".")[0]
        return f"{block}.proj_mlp", path
    return path, path


def _begun(site: str, counts: dict[str, int], clock: Clock) -> Callable[..., None]:
    def begun(module: Any, args: Any) -> None:  # noqa: ANN401
        clock.stamp(f"{site} {counts[site]}")

    return begun


def _ended(site: str, counts: dict[str, int], clock: Clock) -> Callable[..., None]:
    def ended(module: Any, args: Any, output: Any) -> None:  # noqa: ANN401
        clock.stamp(f"{site} {counts[site]} end")
        counts[site] += 1

    return ended
