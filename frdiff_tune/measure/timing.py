"""The timed half of a verification: policy and bare pipeline in turn until the speed-up is known, and what went on beside."""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch

from frdiff_tune.errors import MeasureError
from frdiff_tune.measure.bench import Contender
from frdiff_tune.measure.case import Case, call_arguments
from frdiff_tune.measure.conditions import MOST_REPEATS, REPEATS, Seen, Watch, energy_j, summed_up
from frdiff_tune.measure.hardware import pipe_device
from frdiff_tune.measure.interval import Interval
from frdiff_tune.measure.latency import Arguments, Pair, Stopping, WarmUp, latency_of, paired_ratio, warm_up
from frdiff_tune.measure.median import median_interval
from frdiff_tune.measure.stopwatch import Sample, Subject, sample
from frdiff_tune.policy import Energy, Figure, Throughput


@dataclass(frozen=True, slots=True)
class Watched:
    """A timed pair with what went on beside it.

    Arguments:
        pair: The pair.
        seen: What went on.
        energy_j: What the GPU used in the first and in the second run, in J; None if unknown.
    """

    pair: Pair
    seen: Seen
    energy_j: tuple[float | None, float | None] = (None, None)


def watched_pair(first: Subject, second: Subject, arguments: Arguments, i: int, watch: Watch) -> Watched:
    """Returns pair i: ``first`` before ``second`` if i is even, else after it."""
    order = (first, second) if i % 2 == 0 else (second, first)
    readings, samples = [watch.read()], []
    for subject in order:
        samples.append(sample(subject, arguments(i), watch.device))
        readings.append(watch.read())
    used = [energy_j(before, after) for before, after in pairwise(readings)]
    if i % 2:
        samples.reverse()
        used.reverse()
    return Watched(Pair(*samples), watch.seen(readings), (used[0], used[1]))


@dataclass(frozen=True, slots=True)
class Series:
    """Pairs of a policy (first) and the bare pipeline (second), in the order in which they were taken.

    Arguments:
        batch: Pictures per call.
        kept: The pairs that count, at least one.
        repeated: How many pairs were taken again.
        stopping: What was asked for.
    """

    batch: int
    kept: tuple[Watched, ...]
    repeated: int
    stopping: Stopping

    def times(self, figure: Callable[[Sample], float]) -> tuple[list[float], list[float]]:
        """Returns a figure of every run: of the policy's and of the bare pipeline's."""
        pairs = [each.pair for each in self.kept]
        return [figure(pair.first) for pair in pairs], [figure(pair.second) for pair in pairs]

    @property
    def speedup(self) -> Interval:
        """Time of the bare pipeline over the policy's, median of the pairs."""
        ours, full = self.times(lambda run: run.total_ms)
        return paired_ratio(full, ours)

    @property
    def reached(self) -> bool:
        """Whether the speed-up's interval is as narrow as was asked for."""
        return self.stopping.reached(self.speedup)

    def energy(self) -> Energy | None:
        """Returns the energy per picture; None if any run's is unknown."""
        per_image = []
        for i in (0, 1):
            used = [energy for each in self.kept if (energy := each.energy_j[i]) is not None]
            if len(used) < len(self.kept):
                return None
            per_image.append(sum(used) / (len(used) * self.batch))
        return Energy(per_image_j=per_image[0], reference_per_image_j=per_image[1])

    def throughput(self) -> Throughput:
        """Returns pictures per second."""
        ours, full = self.times(lambda run: run.total_ms)
        return Throughput(
            batch=self.batch,
            images_per_s=_rate(self.batch, ours),
            reference_images_per_s=_rate(self.batch, full),
            speedup=_figure(self.speedup),
            count=len(self.kept),
            latency_interval_reached=self.reached,
        )


def series(
    first: Subject, second: Subject, arguments: Arguments, batch: int, watch: Watch, stopping: Stopping
) -> Generator[int, None, Series]:
    """Times pairs until the rule says stop; yields how many there are.

    A pair beside which something went on is taken again: twice at most, and eight times in all.

    Arguments:
        first: The policy.
        second: The bare pipeline.
        arguments: Call arguments of pair i.
        batch: Pictures per call.
        watch: What reads the conditions.
        stopping: The rule.
    """
    found = Series(batch, (), 0, stopping)
    for look in stopping.looks():
        for i in range(len(found.kept), look):
            taken, again = watched_pair(first, second, arguments, i, watch), 0
            while taken.seen.disturbances and again < min(REPEATS, MOST_REPEATS - found.repeated):
                taken, again = watched_pair(first, second, arguments, i, watch), again + 1
            found = Series(batch, (*found.kept, taken), found.repeated + again, stopping)
            yield len(found.kept)
        if found.reached:
            break
    return found


@dataclass(frozen=True, slots=True)
class Timed:
    """What was timed of a policy beside the bare pipeline.

    Arguments:
        warm_ups: Of the policy and of the bare pipeline.
        latency: At the user's batch.
        throughput: At a batch of its own; None if none was asked for.
        peak_bytes: Peak device memory of a call of the policy and of the bare pipeline; None where the device does not tell.
    """

    warm_ups: tuple[WarmUp, WarmUp]
    latency: Series
    throughput: Series | None
    peak_bytes: tuple[int | None, int | None]

    def fields(self) -> dict[str, Any]:
        """Returns the arguments of ``policy.Measured`` that concern time, memory, throughput, energy and conditions."""
        taken, speedup = self.latency, self.latency.speedup
        ours, full = taken.times(lambda run: run.total_ms)
        loops, full_loops = taken.times(lambda run: run.loop_ms)
        looped = all(loops) and all(full_loops)  # a pipeline without a scheduler's steps has no loop
        seen = [each.seen for each in taken.kept]
        return {
            "latency": latency_of(ours),
            "reference_latency": latency_of(full),
            "loop_latency": latency_of(loops) if looped else None,
            "reference_loop_latency": latency_of(full_loops) if looped else None,
            "speedup": speedup.value,
            "speedup_low": speedup.low,
            "speedup_high": speedup.high,
            "loop_speedup": _figure(paired_ratio(full_loops, loops)) if looped else None,
            "latency_interval": taken.stopping.interval,
            "latency_interval_reached": taken.reached,
            "first_call_ms": self.warm_ups[0].times_ms[0],
            "throughput": self.throughput and self.throughput.throughput(),
            "energy": taken.energy(),
            "conditions": summed_up(seen, taken.repeated, all(each.settled for each in self.warm_ups)),
            "cache_bytes": max(each.pair.first.cache_bytes for each in taken.kept),
            "peak_bytes": self.peak_bytes[0],
            "reference_peak_bytes": self.peak_bytes[1],
        }


def timing(
    candidate: Contender,
    reference: Contender,
    cases: Sequence[Case],
    call: Mapping[str, Any],
    batch: int,
    *,
    interval: float = 0.02,
    calls: int = 64,
    throughput_batch: int | None = None,
) -> Generator[int, None, Timed]:
    """Times a policy and the bare pipeline in turn, warmed up, until the speed-up is known as surely as is wanted.

    Called before anything else runs under the policy, it sees the policy's first call.

    Arguments:
        candidate: The policy.
        reference: The bare pipeline at the reference's step count.
        cases: What to draw; those of the first one's kind are used, in turn.
        call: Arguments that are the same for all cases.
        batch: Pictures per call.
        interval: Wanted half width of the speed-up's 95 % interval, over its value.
        calls: Timed calls of each, at most.
        throughput_batch: Pictures per call for throughput; None: not measured.

    Yields:
        How many pairs are done: at most ``calls``, and as many again with ``throughput_batch``.

    Raises:
        MeasureError: If ``throughput_batch`` pictures do not fit into the device's memory.
    """
    device, stopping = pipe_device(candidate.bench.pipe), Stopping(interval, calls)
    arguments = arguments_of(cases, call, batch)
    warm_ups = warm_up(candidate, arguments, device), warm_up(reference, arguments, device)
    latency = yield from series(candidate, reference, arguments, batch, Watch(device), stopping)
    peaks = peak_bytes(candidate, arguments, device), peak_bytes(reference, arguments, device)
    many = latency if throughput_batch == batch else None
    if throughput_batch is not None and many is None:
        many = yield from _many(candidate, reference, arguments_of(cases, call, throughput_batch), latency, throughput_batch)
    return Timed(warm_ups, latency, many, peaks)


def _many(
    candidate: Contender, reference: Contender, arguments: Arguments, latency: Series, batch: int
) -> Generator[int, None, Series]:
    """Does for throughput what was done for latency; the count goes on from there."""
    device, done = pipe_device(candidate.bench.pipe), len(latency.kept)
    try:
        for contender in (candidate, reference):
            warm_up(contender, arguments, device)
        run = series(candidate, reference, arguments, batch, Watch(device), latency.stopping)
        while True:
            try:
                yield done + next(run)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
    except torch.OutOfMemoryError as error:
        raise MeasureError(
            f"`throughput_batch` must fit into the device's memory but got {batch}. Give a smaller one in [measure]."
        ) from error


def arguments_of(cases: Sequence[Case], call: Mapping[str, Any], batch: int) -> Arguments:
    """Returns what makes the arguments of call i: a batch of the cases that are of the first one's kind, in turn."""
    alike = [case for case in cases if case.kind == cases[0].kind]

    def arguments(i: int) -> dict[str, Any]:
        return {**call, **call_arguments([alike[(i * batch + j) % len(alike)] for j in range(batch)])}

    return arguments


def peak_bytes(contender: Contender, arguments: Arguments, device: torch.device) -> int | None:
    """Returns the peak device memory of one call; None where the device does not tell."""
    if device.type != "cuda":
        return None
    contender.ready()
    torch.cuda.reset_peak_memory_stats(device)
    contender(**arguments(0))
    return torch.cuda.max_memory_allocated(device)


def _figure(interval: Interval) -> Figure:
    return Figure(value=interval.value, low=interval.low, high=interval.high)


def _rate(batch: int, times_ms: Sequence[float]) -> Figure:
    """Returns pictures per second from the times of calls."""
    taken = median_interval(times_ms)
    return Figure(value=1e3 * batch / taken.value, low=1e3 * batch / taken.high, high=1e3 * batch / taken.low)
