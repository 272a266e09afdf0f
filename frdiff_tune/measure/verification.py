"""Verification: a policy beside the bare pipeline at the reference's step count, on cases that the search never saw."""

from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from frdiff_tune.measure.bench import Bench, Contender
from frdiff_tune.measure.case import Case, blocks, cases_digest
from frdiff_tune.measure.drawn import draw
from frdiff_tune.measure.evaluator import check_numbers
from frdiff_tune.measure.figure import STATISTICS, Figure
from frdiff_tune.measure.hardware import pipe_device
from frdiff_tune.measure.metrics import PAIRED, Lpips
from frdiff_tune.measure.picture import checked_call
from frdiff_tune.measure.references import references
from frdiff_tune.measure.timing import Timed, timing
from frdiff_tune.policy import Measured, Policy, Quality
from frdiff_tune.runtime import Capture

Progress = tuple[int, int]  # done, to do; in pictures and timed pairs


def verify(pipe: Any, policy: Policy, cases: Sequence[Case], **options: Any) -> Measured:  # noqa: ANN401
    """Returns the figures of a policy; the arguments are those of ``verification``."""
    run = verification(pipe, policy, cases, **options)
    while True:
        try:
            next(run)
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]


def verification(
    pipe: Any,  # noqa: ANN401
    policy: Policy,
    cases: Sequence[Case],
    *,
    steps: int,
    cache_dir: str | Path,
    call: Mapping[str, Any] | None = None,
    batch: int = 1,
    quality_batch: int = 8,
    latency_interval: float = 0.02,
    latency_calls: int = 64,
    throughput_batch: int | None = None,
    held_out: bool = True,
    capture: Capture = "eager",
    device: torch.device | str | None = None,
) -> Generator[Progress, None, Measured]:
    """Measures a policy in one process with the bare pipeline, their timed calls in turn (A B B A).

    Arguments:
        pipe: A diffusers pipeline without a policy; restored afterwards.
        policy: The policy.
        cases: What to draw.
        steps: The reference's ``num_inference_steps``.
        cache_dir: Where reference pictures are kept.
        call: Arguments that are the same for all cases.
        batch: Pictures per timed call.
        quality_batch: Pictures per call for LPIPS.
        latency_interval: Wanted half width of the speed-up's 95 % interval, over its value.
        latency_calls: Timed calls of each, at most.
        throughput_batch: Pictures per call at which pictures per second are measured too; None: not measured.
        held_out: Whether the search never saw these cases.
        capture: How the network is launched under the policy; the bare pipeline is as it is.
        device: Where LPIPS runs; None: the pipeline's device.

    Yields:
        What is done and what there is to do.

    Returns:
        All figures with their intervals.

    Raises:
        MismatchError: If the policy is for another pipeline.
        MeasureError: If a picture is not finite, or there are no cases.
    """
    numbers = {"steps": steps, "batch": batch, "quality_batch": quality_batch, "latency_calls": latency_calls}
    check_numbers(cases, numbers | {"throughput_batch": throughput_batch or 1})
    given, most = checked_call(call or {}), latency_calls * (1 if throughput_batch is None else 2)
    total = 2 * len(cases) + most
    with Bench(pipe) as bench:
        candidate, reference = Contender(bench, policy, 0, capture), Contender(bench, None, steps)
        candidate.ready()  # a policy that does not fit is refused before anything is drawn
        distances: list[float] = []
        lpips, parts = Lpips(device or pipe_device(pipe)), blocks(cases, quality_batch)
        run = timing(
            candidate,
            reference,
            cases,
            given,
            batch,
            interval=latency_interval,
            calls=latency_calls,
            throughput_batch=throughput_batch,
        )
        timed = yield from _counted(run, total)
        for block, wanted in zip(parts, references(bench, parts, steps, given, Path(cache_dir)), strict=True):
            distances += lpips(draw(candidate, block, given), wanted)
            bench.use(None)
            yield most + 2 * len(distances), total
    return Measured(
        quality=qualities("lpips", distances),
        cases=cases_digest(cases),
        case_count=len(cases),
        held_out=held_out,
        **timed.fields(),
    )


def _counted(run: Generator[int, None, Timed], total: int) -> Generator[Progress, None, Timed]:
    """Yields what of ``total`` is done while a timing goes on."""
    while True:
        try:
            yield next(run), total
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]


def qualities(metric: str, values: Sequence[float]) -> tuple[Quality, ...]:
    """Returns every figure of a metric as a policy file states it.

    Arguments:
        metric: One of ``PAIRED``.
        values: One value per picture.
    """
    return tuple(_row(Figure(metric, statistic), values) for statistic in STATISTICS)


def _row(figure: Figure, values: Sequence[float]) -> Quality:
    found = figure.of(values)
    return Quality(
        metric=figure.metric,
        unit=figure.unit,
        statistic=figure.statistic,
        value=found.value,
        low=found.low,
        high=found.high,
        count=len(values),
        threshold=PAIRED[figure.metric].flip if figure.statistic == "flips" else None,
    )
