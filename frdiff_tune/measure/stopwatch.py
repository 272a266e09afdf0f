"""One timed run: clocks of the device and of the host, the denoising loop watched within the call."""

import functools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch

from frdiff_tune.measure.counters import Counter


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
        counts: Counter -> what it has counted.
    """

    total_ms: float
    loop_ms: float
    cache_bytes: int
    counts: Mapping[str, float] = field(default_factory=dict)


def sample(subject: Subject, arguments: dict[str, Any], device: torch.device, counters: Sequence[Counter] = ()) -> Sample:
    """Returns what one run took.

    Arguments:
        subject: What is timed.
        arguments: Its call arguments.
        device: Where the networks run.
        counters: What counts beside the clock, outside the time that it takes.
    """
    subject.ready()
    clock = clock_of(device)
    for counter in counters:
        counter.start()
    with watched_loop(subject.scheduler(), clock):
        clock.stamp("start")
        subject(**arguments)
        clock.stamp("end")
    clock.synchronize()
    counts = {counter.name: counter.stop() for counter in counters}
    return Sample(clock.between("start", "end"), clock.between("loop", "step"), subject.cache_bytes(), counts)


class Clock(Protocol):
    """Named moments of one run, and the time between them."""

    def stamp(self, name: str) -> None:
        """Notes the time under a name; a later one replaces it."""

    def synchronize(self) -> None:
        """Waits until the device has done all its work."""

    def between(self, first: str, last: str) -> float:
        """Returns the time between two stamps in ms, after ``synchronize``; 0 if one is missing."""


def clock_of(device: torch.device) -> Clock:
    """Returns the device's own clock, or the host's where a device has none."""
    return EventClock(device) if has_events(str(device)) else HostClock(device)


class HostClock:
    """A monotonic clock that waits for the device at the ends of the call, not within it.

    Arguments:
        device: Where the networks run.
    """

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
    """Events on the device's stream: stamped by the device itself, so that the loop is never made to wait.

    Arguments:
        device: A device of torch that has events: CUDA, MPS or XPU.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._events: dict[str, torch.Event] = {}
        self.synchronize()

    def stamp(self, name: str) -> None:
        """Notes the time under a name; a later one replaces it."""
        if name not in self._events:
            self._events[name] = torch.Event(self._device, enable_timing=True)
        self._events[name].record(torch.accelerator.current_stream(self._device))

    def synchronize(self) -> None:
        """Waits until the device has done all its work."""
        torch.accelerator.synchronize(self._device)

    def between(self, first: str, last: str) -> float:
        """Returns the time between two stamps in ms; 0 if one is missing."""
        events = self._events
        return float(events[first].elapsed_time(events[last])) if first in events and last in events else 0.0


@functools.cache
def has_events(device: str) -> bool:
    """Returns whether a device times its own events, which not every backend of torch does."""
    if device.startswith("cpu"):
        return False
    try:
        clock = EventClock(torch.device(device))
        clock.stamp("start")
        clock.stamp("end")
        clock.synchronize()
        return clock.between("start", "end") >= 0
    except (RuntimeError, NotImplementedError, ValueError):
        return False


@contextmanager
def watched_loop(scheduler: Any, clock: Clock) -> Iterator[None]:  # noqa: ANN401
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


def _stamped(method: Callable[..., Any], clock: Clock, name: str) -> Callable[..., Any]:
    @functools.wraps(method)  # pipelines read the signature to see what a scheduler takes
    def stamped(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        result = method(*args, **kwargs)
        clock.stamp(name)
        return result

    return stamped
