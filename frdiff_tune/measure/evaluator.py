"""The evaluator: one policy in, measurements out, a block of cases each; or why there are none."""

from collections.abc import Generator, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import torch

from frdiff_tune.errors import MeasureError
from frdiff_tune.measure.bench import Bench, Contender
from frdiff_tune.measure.case import Case, blocks, shuffled
from frdiff_tune.measure.counters import Counter, counters
from frdiff_tune.measure.drawn import Drawn, check_black, draw
from frdiff_tune.measure.failure import Failure, tried
from frdiff_tune.measure.floors import Reference
from frdiff_tune.measure.hardware import pipe_device
from frdiff_tune.measure.latency import Pair, latency_of, paired_ratio, time_interleaved, warm_up
from frdiff_tune.measure.measurement import Measurement
from frdiff_tune.measure.metrics import Paired, SetMetric, load_paired, load_sets
from frdiff_tune.measure.picture import checked_call, picture_size
from frdiff_tune.measure.references import Watch, references, unwatched
from frdiff_tune.measure.timing import arguments_of
from frdiff_tune.measure.walk import Walk
from frdiff_tune.policy import Floor, Latency, Policy
from frdiff_tune.runtime import Capture

REFERENCE_PAIRS = 3  # the full reference is long; candidates are timed against the anchor


class Evaluator:
    """Measures policies on a fixed set of cases: pictures against the reference's, latency against a short anchor run.

    Cases are taken in a shuffled order that is always the same. Pictures that are compared are made in batches; latency
    is timed at the user's batch, each call beside one of the anchor. A candidate that cannot be had (memory runs out, a
    picture is black or not finite, an error is raised) ends as a ``Failure``, and leaves nothing to the next one.
    As a context manager it keeps its patches on between policies; else each policy's are taken off at its end. Either
    way the pipeline is restored, also when the caller stops early or is interrupted.

    Arguments:
        pipe: A diffusers pipeline without a policy.
        cases: What to draw.
        steps: The reference's ``num_inference_steps``.
        call: Arguments that are the same for all cases, such as ``guidance_scale``.
        batch: Pictures per call as the user makes it.
        quality_batch: Pictures per call that are compared.
        anchor_steps: Steps that the anchor walks at least, a short full run.
        cache_dir: Where reference pictures are kept.
        device: Where metrics run; None: the pipeline's device.
        timed_calls: Timed calls per policy, over all blocks; at least one.
        metrics: What is measured, paired or between the sets of all pictures.
        weights: Folder in which their weights are looked for first.
        counted: Counters that are read beside the timed calls.

    Raises:
        MeasureError: If there are no cases, a number is too small, a metric is unknown, the device lacks a counter, or
            cases walk different numbers of steps.
    """

    def __init__(
        self,
        pipe: Any,  # noqa: ANN401
        cases: Sequence[Case],
        *,
        steps: int,
        cache_dir: str | Path,
        call: Mapping[str, Any] | None = None,
        batch: int = 1,
        quality_batch: int = 8,
        anchor_steps: int = 5,
        device: torch.device | str | None = None,
        timed_calls: int = 4,
        metrics: Sequence[str] = ("lpips",),
        weights: str | Path | None = None,
        counted: Sequence[str] = (),
    ) -> None:
        numbers = {"steps": steps, "batch": batch, "quality_batch": quality_batch, "anchor_steps": anchor_steps}
        check_numbers(cases, numbers | {"timed_calls": timed_calls})
        self.pipe, self.cases, self.batch = pipe, shuffled(cases), batch
        self.call = checked_call(call or {})
        self.blocks = blocks(self.cases, quality_batch)
        self.device = pipe_device(pipe)
        self._counters = counters(counted, self.device, batch)
        self._metric_device = torch.device(device or self.device)
        self._folder, self._timed_calls, self._quality_batch = Path(cache_dir), timed_calls, quality_batch
        self._bench = Bench(pipe)
        walk = Walk(pipe, self.cases, self.call)
        walk.check(steps)
        self._full = walk.full(steps).digest
        anchor_steps = max(anchor_steps, walk.steps(anchor_steps))
        self._anchor = Contender(self._bench, walk.full(anchor_steps), anchor_steps)
        self._reference = Contender(self._bench, None, steps)
        self._kept_open = False
        self._pictures: tuple[Drawn, ...] = ()
        self._names, self._weights = tuple(metrics), None if weights is None else Path(weights)
        self._metrics: tuple[Paired, ...] | None = None
        self._sets: tuple[SetMetric, ...] = ()
        self._pairs: list[Pair] = []

    def prepare(self, watch: Watch = unwatched) -> Iterator[tuple[int, int]]:
        """Makes or loads the references, warms up, and times reference and anchor.

        Arguments:
            watch: Gives the context in which reference pictures are drawn that are not on the disk, by their cases.

        Yields:
            What is done and what there is to do, in pictures and timed calls. Nothing if all was done before; a policy
            that is measured before this does all of it first.
        """
        if self._metrics is not None:
            return
        total, pictures, pairs = len(self.cases) + REFERENCE_PAIRS, [], []
        try:
            wanted = self._names, self._metric_device, self._weights
            metrics, sets = load_paired(*wanted), load_sets(*wanted)
            for drawn in references(self._bench, self.blocks, self._reference.steps, self.call, self._folder, watch):
                pictures.append(drawn)
                yield sum(map(len, pictures)), total
            warm_up(self._anchor, lambda i: self._timed_arguments(0, i), self.device)
            for pair in self._timed_pairs(self._reference, 0, range(REFERENCE_PAIRS)):
                pairs.append(pair)
                yield len(self.cases) + len(pairs), total
        finally:
            self._settle()
        self._metrics, self._sets, self._pictures, self._pairs = metrics, sets, tuple(pictures), pairs

    def __call__(self, policy: Policy, first: int = 0, capture: Capture = "eager") -> Iterator[Measurement | Failure]:
        """Yields one measurement per block of cases, or a failure as the last value; stop consuming to stop measuring.

        The first block always has a timed call.

        Arguments:
            policy: What to measure.
            first: The block to begin with; those before it are known already.
            capture: How the network is launched; the anchor beside it always is by kernels.

        Raises:
            MismatchError: If the policy is for another pipeline.
        """
        for _ in self.prepare():
            pass
        candidate = Contender(self._bench, policy, 0, capture)
        for between in self._sets:
            between.reset()
        try:
            for b in range(first, len(self.blocks)):
                found = self._tried(candidate, b, first)
                yield found
                if isinstance(found, Failure):
                    return
        finally:
            self._settle()

    def floor(self, count: int) -> Generator[tuple[int, int], None, Floor | None]:
        """Measures how far the reference is from the same run with four times its steps: mean LPIPS on the first cases.

        Pictures of four times the steps are kept on the disk as the references are.

        Arguments:
            count: Cases, in the order in which they are taken.

        Yields:
            What is done and what there is to do, in pictures.

        Returns:
            The floor; None where the scheduler cannot walk four times the steps, or LPIPS is not measured.
        """
        for _ in self.prepare():
            pass
        rows = zip(self.blocks, self._pictures, strict=True)
        pictures = {case.digest: drawn[i] for block, drawn in rows for i, case in enumerate(block)}
        against = Reference(self._bench, self.cases[:count], pictures, self._reference.steps, self.call)
        lpips = [metric for metric in self._metrics or () if metric.name == "lpips"]
        run = against.discretisation(self._quality_batch, self._folder, lpips)
        try:
            while True:
                yield next(run), len(against.cases)
        except StopIteration as done:
            floors: tuple[Floor, ...] = done.value
            return next((floor for floor in floors if floor.statistic == "mean"), None)
        finally:
            self._settle()

    @property
    def bench(self) -> Bench:
        """Holds the pipeline; whoever runs it beside the evaluator must run it there."""
        return self._bench

    @property
    def anchor_ms(self) -> float:
        """Latency of the anchor, in ms."""
        return latency_of([pair.second.total_ms for pair in self._prepared()]).median_ms

    @property
    def reference_latency(self) -> Latency:
        """Latency of the bare pipeline at the reference's step count, by its ratio to the anchor."""
        pairs = self._prepared()
        times = [pair.first.total_ms for pair in pairs]
        middle = paired_ratio(times, [pair.second.total_ms for pair in pairs]) * self.anchor_ms
        return Latency(
            median_ms=middle.value, low_ms=middle.low, high_ms=middle.high, count=len(times), samples_ms=tuple(times)
        )

    @property
    def reference_bytes(self) -> int:
        """Bytes that the reference pictures take, in memory and on the disk each."""
        height, width = picture_size(self.pipe, self.call)
        return len(self.cases) * height * width * 3

    def close(self) -> None:
        """Restores the pipeline."""
        self._kept_open = False
        self._bench.close()

    def __enter__(self) -> Self:
        self._kept_open = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _tried(self, candidate: Contender, b: int, first: int) -> Measurement | Failure:
        """Returns what a block gives; after a failure the pipeline is as a new process would find it."""
        return tried(self.pipe, self._bench.close, b, lambda: self._measured(candidate, b, first))

    def _measured(self, candidate: Contender, b: int, first: int) -> Measurement:
        assert self._metrics is not None and candidate.policy is not None
        if b == first:
            self._settled(candidate, b)
        block = self.blocks[b]
        own_run = candidate.policy.digest == self._full and candidate.capture == "eager"
        drawn = self._pictures[b] if own_run else draw(candidate, block, self.call)  # the reference draws its own pictures
        check_black(drawn, self._pictures[b], block)
        values = {metric.name: metric(drawn, self._pictures[b]) for metric in self._metrics}
        for between in self._sets:
            between.add(drawn, self._pictures[b])
        whole = first == 0 and b == len(self.blocks) - 1
        pairs = list(self._timed_pairs(candidate, b, self._indices(b), self._counters))
        return Measurement(
            cases=tuple(case.digest for case in block),
            values=values,
            latency_ms=tuple(pair.first.total_ms for pair in pairs),
            anchor_ms=tuple(pair.second.total_ms for pair in pairs),
            loop_ms=tuple(pair.first.loop_ms for pair in pairs),
            cache_bytes=max((pair.first.cache_bytes for pair in pairs), default=0),
            nfe=candidate.policy.nfe,
            counts={each.name: tuple(pair.first.counts[each.name] for pair in pairs) for each in self._counters},
            sets={between.title: between.value()[0] for between in self._sets if whole},
        )

    def _settled(self, candidate: Contender, b: int) -> None:
        """Draws a picture first where graphs are recorded or code is compiled on the way, which is not to be timed."""
        if candidate.capture != "eager":
            candidate(**self._timed_arguments(b, 0))

    def _timed_pairs(
        self, contender: Contender, b: int, indices: Sequence[int], counters: Sequence[Counter] = ()
    ) -> Iterator[Pair]:
        return time_interleaved(contender, self._anchor, lambda i: self._timed_arguments(b, i), indices, self.device, counters)

    def _timed_arguments(self, b: int, i: int) -> dict[str, Any]:
        """Returns the arguments of timed call i: the user's batch of the block's cases, in turn."""
        return arguments_of(self.blocks[b], self.call, self.batch)(i)

    def _indices(self, b: int) -> list[int]:
        """Returns which of the timed calls belong to block b: all are spread evenly, the first to block 0."""
        return [i for i in range(self._timed_calls) if i * len(self.blocks) // self._timed_calls == b]

    def _settle(self) -> None:
        """Drops what the last policy stored; takes it off unless the evaluator is kept open."""
        self._bench.use(self._anchor.policy if self._kept_open else None)

    def _prepared(self) -> list[Pair]:
        if not self._pairs:
            raise MeasureError(
                "`evaluator` must be prepared but is not. Run `for _ in evaluator.prepare(): pass` first."
            )
        return self._pairs


def check_numbers(cases: Sequence[Case], numbers: Mapping[str, int]) -> None:
    """Checks that there are cases and that every number is at least 1.

    Raises:
        MeasureError: If not.
    """
    if not cases:
        raise MeasureError("`cases` must hold at least one case but got none. Load some with `load_cases`.")
    for field, value in numbers.items():
        if value < 1:
            raise MeasureError(f"`{field}` must be at least 1 but got {value}. Give a larger number.")
