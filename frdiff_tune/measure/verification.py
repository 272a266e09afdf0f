"""Verification: a policy beside the bare pipeline at the reference's step count, on cases that the search never saw."""

from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch

from frdiff_tune.measure.bench import Bench, Contender
from frdiff_tune.measure.case import Case, blocks, cases_digest
from frdiff_tune.measure.drawn import Drawn, check_black, draw
from frdiff_tune.measure.evaluator import check_numbers
from frdiff_tune.measure.figure import STATISTICS, Figure
from frdiff_tune.measure.floors import Reference
from frdiff_tune.measure.hardware import pipe_device
from frdiff_tune.measure.metrics import PAIRED, Paired, SetMetric, load_paired, load_sets
from frdiff_tune.measure.picture import checked_call
from frdiff_tune.measure.references import references
from frdiff_tune.measure.timing import timing
from frdiff_tune.measure.unpaired import SEEDS, Unpaired, other_pictures, own_files, own_pictures
from frdiff_tune.policy import Floor, Measured, Policy, Quality, SetQuality
from frdiff_tune.runtime import Capture

Value = TypeVar("Value")
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
    metrics: Sequence[str] = ("lpips",),
    weights: str | Path | None = None,
    floor_count: int = 0,
    unpaired: str | Path | None = None,
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
        quality_batch: Pictures per call that are compared.
        latency_interval: Wanted half width of the speed-up's 95 % interval, over its value.
        latency_calls: Timed calls of each, at most.
        throughput_batch: Pictures per call at which pictures per second are measured too; None: not measured.
        held_out: Whether the search never saw these cases.
        capture: How the network is launched under the policy; the bare pipeline is as it is.
        device: Where metrics run; None: the pipeline's device.
        metrics: What is measured of the pictures, paired or between the sets.
        weights: Folder in which the metrics' weights are looked for first.
        floor_count: Cases on which the floors are measured, the first ones; 0: no floors.
        unpaired: What metrics between sets compare with as well: ``"seeds"``, the reference's pictures of other seeds, or a
            folder of one's own; None: nothing.

    Yields:
        What is done and what there is to do.

    Returns:
        All figures with their intervals.

    Raises:
        MismatchError: If the policy is for another pipeline.
        MeasureError: If a picture is black or not finite, there are no cases, or a metric is not to be had.
    """
    numbers = {"steps": steps, "batch": batch, "quality_batch": quality_batch, "latency_calls": latency_calls}
    check_numbers(cases, numbers | {"throughput_batch": throughput_batch or 1})
    given, most = checked_call(call or {}), latency_calls * (1 if throughput_batch is None else 2)
    floor_count, place = min(floor_count, len(cases)), None if weights is None else Path(weights)
    total = 2 * len(cases) + most + 2 * floor_count
    files = own_files(Path(unpaired), len(cases)) if unpaired not in (None, SEEDS) else ()
    with Bench(pipe) as bench:
        candidate, reference = Contender(bench, policy, 0, capture), Contender(bench, None, steps)
        candidate.ready()  # a policy that does not fit is refused before anything is drawn
        where = device or pipe_device(pipe)
        paired, sets = load_paired(metrics, where, place), load_sets(metrics, where, place)
        third = None
        if unpaired is not None and sets:
            ours, own = load_sets(metrics, where, place), load_sets(metrics, where, place)
            third = Unpaired(ours, own, "own_pictures" if files else "other_seeds")
        taken, parts, kept = Compared(paired, sets, third), blocks(cases, quality_batch), dict[str, Drawn]()
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
            taken.add(draw(candidate, block, given), wanted, block)
            kept |= {case.digest: wanted[i] for i, case in enumerate(block)}
            bench.use(None)
            yield most + 2 * taken.count, total
        if third is not None:
            height, width = wanted.pictures.shape[-3:-1]
            others = own_pictures(files, height, width) if files else other_pictures(
                bench, cases, quality_batch, steps, given, Path(cache_dir)
            )
            for pictures in others:
                third.take_others(pictures)
        floors: tuple[Floor, ...] = ()
        if floor_count:
            against = Reference(bench, cases[:floor_count], kept, steps, given)
            floors = against.numerics(capture, batch, paired)
            yield total - floor_count, total
            finer = against.discretisation(quality_batch, Path(cache_dir), paired)
            floors += yield from _counted(finer, total, total - floor_count)
            yield total, total
    return Measured(
        quality=taken.quality(),
        sets=taken.between(),
        floors=floors,
        cases=cases_digest(cases),
        case_count=len(cases),
        held_out=held_out,
        **timed.fields(),
    )


def _counted(run: Generator[int, None, Value], total: int, before: int = 0) -> Generator[Progress, None, Value]:
    """Yields what of ``total`` is done while a part goes on, ``before`` of it earlier."""
    while True:
        try:
            yield before + next(run), total
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]


class Compared:
    """Pictures compared with their references so far.

    Arguments:
        paired: Metrics of picture and reference.
        sets: Metrics between the two sets.
        third: Metrics between each of them and a third one.
    """

    def __init__(self, paired: Sequence[Paired], sets: Sequence[SetMetric], third: Unpaired | None = None) -> None:
        self.count = 0
        self._paired, self._sets, self._third = paired, sets, third
        self._values: dict[str, list[float]] = {metric.name: [] for metric in paired}

    def add(self, drawn: Drawn, wanted: Drawn, cases: Sequence[Case]) -> None:
        """Compares the pictures of a block.

        Raises:
            MeasureError: If a picture is black where the reference is not, or cannot be compared.
        """
        check_black(drawn, wanted, cases)
        for metric in self._paired:
            self._values[metric.name] += metric(drawn, wanted)
        for between in self._sets:
            between.add(drawn, wanted)
        if self._third is not None:
            self._third.take(drawn, wanted)
        self.count += len(cases)

    def quality(self) -> tuple[Quality, ...]:
        """Returns every figure of the paired metrics."""
        return tuple(row for name, values in self._values.items() for row in qualities(name, values))

    def between(self) -> tuple[SetQuality, ...]:
        """Returns the figures between the sets."""
        return (*(metric.row("paired") for metric in self._sets), *(self._third.rows() if self._third is not None else ()))


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
