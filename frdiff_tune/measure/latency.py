"""Wall time of a pipeline call, and of the denoising loop inside it, in milliseconds.

Two subjects are timed in turn, A B B A A B B A, so that a drift of the machine falls on both alike; what is stated is
the median of the paired ratios.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from frdiff_tune.measure.counters import Counter
from frdiff_tune.measure.interval import Interval
from frdiff_tune.measure.median import median_interval
from frdiff_tune.measure.stopwatch import Sample, Subject, sample
from frdiff_tune.policy import Latency

AGREEING = 3  # runs that must agree before the timing begins
TOLERANCE = 0.05  # by how much, largest over smallest
MOST_WARMUPS = 8  # a busy machine never agrees
FIRST_LOOK = 16  # pairs: by fewer, neither the width of the interval nor a drift is known

Arguments = Callable[[int], dict[str, Any]]
"""Call arguments of run i, made anew for each run (generators are used up)."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One run of each of two subjects, directly after each other."""

    first: Sample
    second: Sample


def time_interleaved(
    first: Subject,
    second: Subject,
    arguments: Arguments,
    indices: Sequence[int],
    device: torch.device,
    counters: Sequence[Counter] = (),
) -> Iterator[Pair]:
    """Yields timed pairs; pair 0 runs ``first`` before ``second``, pair 1 after it, and so on in turn.

    Arguments:
        first: One subject.
        second: The other.
        arguments: Call arguments of pair i.
        indices: Numbers of the pairs to time.
        device: Where the networks run.
        counters: What counts in the runs of ``first``.
    """
    for i in indices:
        order = ((first, counters), (second, ())) if i % 2 == 0 else ((second, ()), (first, counters))
        samples = [sample(subject, arguments(i), device, counting) for subject, counting in order]
        yield Pair(*(samples if i % 2 == 0 else reversed(samples)))


@dataclass(frozen=True, slots=True)
class WarmUp:
    """Runs before those that count.

    Arguments:
        times_ms: What each took, in ms. The first does what is done once: kernels loaded, graphs recorded, code compiled.
    """

    times_ms: tuple[float, ...]

    @property
    def settled(self) -> bool:
        """Whether the last three runs, the very first not among them, agree within 5 %."""
        last = self.times_ms[1:][-AGREEING:]
        return len(last) == AGREEING and max(last) <= (1 + TOLERANCE) * min(last)


def warm_up(subject: Subject, arguments: Arguments, device: torch.device) -> WarmUp:
    """Runs once, and then until the last three times agree within 5 %, at most eight times.

    Arguments:
        subject: What is to be timed.
        arguments: Call arguments of run i.
        device: Where the networks run.
    """
    done = WarmUp(())
    while not done.settled and len(done.times_ms) <= MOST_WARMUPS:
        taken = sample(subject, arguments(len(done.times_ms)), device)
        done = WarmUp((*done.times_ms, taken.total_ms))
    return done


@dataclass(frozen=True, slots=True)
class Stopping:
    """When enough pairs are timed: the ratio's 95 % interval is narrow enough, or the limit is reached.

    A rule that stops as soon as an interval looks narrow stops too often while it is narrow by chance. So it looks
    rarely: after 16 pairs, 24, 32, 48, 72 and so on. Simulated with noise of 1 to 5 %, independent, skewed, with outliers,
    of two modes, or with a correlation of 0.6 from pair to pair, intervals of 2 % then hold the true value in 94 to
    99 of 100 measurements (tests/measure/test_median.py); a correlation of 0.8 leaves 88.

    Arguments:
        interval: Wanted half width of the interval over its value.
        most: Pairs at most.
    """

    interval: float = 0.02
    most: int = 64

    def looks(self) -> Iterator[int]:
        """Yields after how many pairs to look; the last is the limit."""
        n = min(FIRST_LOOK, self.most)
        while n < self.most:
            yield n
            n = min(n + max(FIRST_LOOK // 2, n // 16 * 8), self.most)
        yield n

    def reached(self, ratio: Interval) -> bool:
        """Returns whether an interval is as narrow as wanted."""
        return half_width(ratio) <= self.interval


def half_width(ratio: Interval) -> float:
    """Returns half the width of an interval over its value, which is above 0."""
    return (ratio.high - ratio.low) / 2 / ratio.value


def latency_of(samples_ms: Sequence[float]) -> Latency:
    """Returns the median of times in ms, in the order in which they were taken, with its interval and the raw samples."""
    middle = median_interval(samples_ms)
    return Latency(
        median_ms=middle.value,
        low_ms=middle.low,
        high_ms=middle.high,
        count=len(samples_ms),
        samples_ms=tuple(samples_ms),
    )


def paired_ratio(numerators_ms: Sequence[float], denominators_ms: Sequence[float]) -> Interval:
    """Returns the median of the ratios of times that were taken in pairs, in this order, with its interval."""
    return median_interval([a / b for a, b in zip(numerators_ms, denominators_ms, strict=True)])
