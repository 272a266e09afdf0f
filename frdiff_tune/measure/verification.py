"""Verification: a policy beside the bare pipeline at the reference's step count, on cases that the search never saw."""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from frdiff_tune.measure.bench import Bench, Contender
from frdiff_tune.measure.case import Case, blocks, call_arguments, cases_digest
from frdiff_tune.measure.evaluator import check_numbers
from frdiff_tune.measure.hardware import pipe_device
from frdiff_tune.measure.interval import Interval
from frdiff_tune.measure.latency import Pair, latency_of, paired_ratio, time_interleaved, warm_up
from frdiff_tune.measure.lpips import Lpips
from frdiff_tune.measure.measurement import FLIP, lpips_intervals
from frdiff_tune.measure.picture import checked_call, render
from frdiff_tune.measure.references import references
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
    flip: float = FLIP,
    timed_calls: int = 8,
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
        flip: LPIPS above which a picture counts as flipped.
        timed_calls: Timed calls of each.
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
    check_numbers(cases, {"steps": steps, "batch": batch, "quality_batch": quality_batch, "timed_calls": timed_calls})
    given, total = checked_call(call or {}), 2 * len(cases) + timed_calls
    with Bench(pipe) as bench:
        candidate, reference = Contender(bench, policy, 0, capture), Contender(bench, None, steps)
        candidate.ready()  # a policy that does not fit is refused before anything is drawn
        distances: list[float] = []
        lpips, parts = Lpips(device or pipe_device(pipe)), blocks(cases, quality_batch)
        for block, pictures in zip(parts, references(bench, parts, steps, given, Path(cache_dir)), strict=True):
            distances += lpips(render(candidate, block, given), pictures)
            bench.use(None)
            yield 2 * len(distances), total
        timing = _Timing(candidate, reference, tuple(cases), given, batch)
        pairs: list[Pair] = []
        for pair in timing.pairs(timed_calls):
            pairs.append(pair)
            yield 2 * len(cases) + len(pairs), total
        peak_bytes = timing.peak_bytes()
    return _measured(pairs, distances, flip, cases, held_out, peak_bytes)


@dataclass(frozen=True, slots=True)
class _Timing:
    """The timed half of a verification."""

    candidate: Contender
    reference: Contender
    cases: tuple[Case, ...]
    call: dict[str, Any]
    batch: int

    def pairs(self, count: int) -> Generator[Pair, None, None]:
        """Yields warmed-up pairs of policy and bare pipeline."""
        device = pipe_device(self.candidate.bench.pipe)
        warm_up(self.candidate, self.arguments, device)
        yield from time_interleaved(self.candidate, self.reference, self.arguments, range(count), device)

    def arguments(self, i: int) -> dict[str, Any]:
        """Returns the arguments of call i: the user's batch of cases of one kind, in turn."""
        alike = [case for case in self.cases if case.kind == self.cases[0].kind]
        return {
            **self.call,
            **call_arguments([alike[(i * self.batch + j) % len(alike)] for j in range(self.batch)]),
        }

    def peak_bytes(self) -> int | None:
        """Returns the peak device memory of one call under the policy; None where the device does not tell."""
        device = pipe_device(self.candidate.bench.pipe)
        if device.type != "cuda":
            return None
        self.candidate.ready()
        torch.cuda.reset_peak_memory_stats(device)
        self.candidate(**self.arguments(0))
        return torch.cuda.max_memory_allocated(device)


def _measured(
    pairs: Sequence[Pair],
    distances: Sequence[float],
    flip: float,
    cases: Sequence[Case],
    held_out: bool,
    peak_bytes: int | None,
) -> Measured:
    times = [pair.first.total_ms for pair in pairs]
    full = [pair.second.total_ms for pair in pairs]
    loops = [pair.first.loop_ms for pair in pairs]
    speedup = paired_ratio(full, times)
    return Measured(
        latency=latency_of(times),
        reference_latency=latency_of(full),
        loop_latency=latency_of(loops) if all(loops) else None,
        speedup=speedup.value,
        speedup_low=speedup.low,
        speedup_high=speedup.high,
        quality=_quality(distances, flip),
        cache_bytes=max(pair.first.cache_bytes for pair in pairs),
        peak_bytes=peak_bytes,
        cases=cases_digest(cases),
        case_count=len(cases),
        held_out=held_out,
    )


def _quality(distances: Sequence[float], flip: float) -> tuple[Quality, ...]:
    mean, median, p90, flips = lpips_intervals(distances, flip)
    count = len(distances)
    return (
        _row("mean", mean, count),
        _row("median", median, count),
        _row("p90", p90, count),
        _row("flips", flips, count, flip),
    )


def _row(statistic: Any, figure: Interval, count: int, threshold: float | None = None) -> Quality:  # noqa: ANN401
    return Quality(
        metric="lpips",
        unit="1",
        statistic=statistic,
        value=figure.value,
        low=figure.low,
        high=figure.high,
        count=count,
        threshold=threshold,
    )
