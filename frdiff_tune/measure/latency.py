"""Wall time of a pipeline call, and of the denoising loop inside it, in milliseconds.

Two subjects are timed in turn, A B B A A B B A, so that a drift of the machine falls on both alike; what is stated is
the median of the paired ratios.
"""

import functools
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from frdiff_tune.measure.interval import Interval, bootstrap
from frdiff_tune.policy import Latency

AGREEING = 3  # runs that must agree before the timing begins
TOLERANCE = 0.05  # by how much, largest over smallest
MOST_WARMUPS = 8  # a busy machine never agrees


class Subject(Protocol):
    """Something that can be timed."""

    def ready(self) -> object:
        """Brings the pipeline into the state that is timed; not part of the time."""

    def scheduler(self) -> Any:  # noqa: ANN401
        """Returns the solver that the next run walks."""

    def cache_bytes(self) -> int:
        """Returns how many bytes the last run stored at its most."""

    def __call__(self, **arguments: Any) -> object:  # noqa: ANN401
        """Runs the pipeline once."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What one run took.

    Arguments:
        total_ms: The whole call, in ms.
        loop_ms: From the end of ``scheduler.set_timesteps`` to the end of the last ``scheduler.step``, in ms.
        cache_bytes: What the run stored at its most.
    """

    total_ms: float
    loop_ms: float
    cache_bytes: int


@dataclass(frozen=True, slots=True)
class Pair:
    """One run of each of two subjects, directly after each other."""

    first: Sample
    second: Sample


def time_interleaved(
    first: Subject,
    second: Subject,
    arguments: Callable[[int], dict[str, Any]],
    indices: Sequence[int],
    device: torch.device,
) -> Iterator[Pair]:
    """Yields timed pairs; pair 0 runs ``first`` before ``second``, pair 1 after it, and so on in turn.

    Arguments:
        first: One subject.
        second: The other.
        arguments: Call arguments of pair i, made anew for each run (generators are used up).
        indices: Numbers of the pairs to time.
        device: Where the networks run.
    """
    for i in indices:
        order = (first, second) if i % 2 == 0 else (second, first)
        samples = [sample(subject, arguments(i), device) for subject in order]
        yield Pair(*(samples if i % 2 == 0 else reversed(samples)))


def sample(subject: Subject, arguments: dict[str, Any], device: torch.device) -> Sample:
    """Returns what one run took.

    Arguments:
        subject: What is timed.
        arguments: Its call arguments.
        device: Where the networks run.
    """
    subject.ready()
    clock = EventClock() if device.type == "cuda" else HostClock(device)
    with watched_loop(subject.scheduler(), clock):
        clock.stamp("start")
        subject(**arguments)
        clock.stamp("end")
    clock.synchronize()
    return Sample(clock.between("start", "end"), clock.between("loop", "step"), subject.cache_bytes())


def warm_up(subject: Subject, arguments: Callable[[int], dict[str, Any]], device: torch.device) -> int:
    """Runs until the last three times agree within 5 %, at most eight times; returns the number of runs."""
    times: list[float] = []
    while len(times) < MOST_WARMUPS:
        times.append(sample(subject, arguments(len(times)), device).total_ms)
        last = times[-AGREEING:]
        if len(last) == AGREEING and max(last) <= (1 + TOLERANCE) * min(last):
            break
    return len(times)


def latency_of(samples_ms: Sequence[float]) -> Latency:
    """Returns the median of times in ms, with its interval and the raw samples."""
    middle = bootstrap(samples_ms, "median")
    return Latency(
        median_ms=middle.value,
        low_ms=middle.low,
        high_ms=middle.high,
        count=len(samples_ms),
        samples_ms=tuple(samples_ms),
    )


def paired_ratio(numerators_ms: Sequence[float], denominators_ms: Sequence[float]) -> Interval:
    """Returns the median of the ratios of times that were taken in pairs, with its interval."""
    return bootstrap([a / b for a, b in zip(numerators_ms, denominators_ms, strict=True)], "median")


class HostClock:
    """A monotonic clock that waits for the device at the ends of the call, not within it."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stamps: dict[str, float] = {}

    def stamp(self, name: str) -> None:
        """Notes the time under a name; a later one replaces it."""
        if name in ("start", "end"):
            self.synchronize()
        self._stamps[name] = time.perf_counter()

    def synchronize(self) -> None:
        """Waits until the device has done all its work."""
        if self._device.type != "cpu":
            torch.accelerator.synchronize(self._device)

    def between(self, first: str, last: str) -> float:
        """Returns the time between two stamps in ms; 0 if one is missing."""
        stamps = self._stamps
        return (stamps[last] - stamps[first]) * 1e3 if first in stamps and last in stamps else 0.0


class EventClock:
    """CUDA events: stamped by the device itself, so that the loop is never made to wait."""

    def __init__(self) -> None:
        self._events: dict[str, torch.cuda.Event] = {}
        torch.cuda.synchronize()

    def stamp(self, name: str) -> None:
        """Notes the time under a name; a later one replaces it."""
        if name not in self._events:
            self._events[name] = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        self._events[name].record()

    def synchronize(self) -> None:
        """Waits until the device has done all its work."""
        torch.cuda.synchronize()

    def between(self, first: str, last: str) -> float:
        """Returns the time between two stamps in ms; 0 if one is missing."""
        events = self._events
        return float(events[first].elapsed_time(events[last])) if first in events and last in events else 0.0


@contextmanager
def watched_loop(scheduler: Any, clock: HostClock | EventClock) -> Iterator[None]:  # noqa: ANN401
    """Stamps ``"loop"`` after ``set_timesteps`` and ``"step"`` after every ``step``; then the scheduler is as before.

    Arguments:
        scheduler: A diffusers scheduler.
        clock: Where the stamps go.
    """
    before = {name: vars(scheduler)[name] for name in ("set_timesteps", "step") if name in vars(scheduler)}
    scheduler.set_timesteps = _stamped(scheduler.set_timesteps, clock, "loop")
    scheduler.step = _stamped(scheduler.step, clock, "step")
    try:
        yield
    finally:
        for name in ("set_timesteps", "step"):
            if name in before:
                setattr(scheduler, name, before[name])
            else:
                delattr(scheduler, name)


def _stamped(method: Callable[..., Any], clock: HostClock | EventClock, name: str) -> Callable[..., Any]:
    @functools.wraps(method)  # pipelines read the signature to see what a scheduler takes
    def stamped(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        result = method(*args, **kwargs)
        clock.stamp(name)
        return result

    return stamped
