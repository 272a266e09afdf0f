"""What each step of one run took: time on the device's own clock, or floating-point operations."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from frdiff_tune.measure.stopwatch import Clock, Subject, clock_of, watched_loop


@dataclass(frozen=True, slots=True)
class Steps:
    """One run, step by step, in one unit.

    Arguments:
        total: The whole call.
        steps: From the end of one ``scheduler.step`` to the end of the next, length T; the first also holds what lies between
            ``set_timesteps`` and the first network call.
    """

    total: float
    steps: tuple[float, ...]


class StepClock:
    """Passes stamps on to a clock, each ``"step"`` under a number of its own.

    Arguments:
        clock: Where they go.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.count = 0

    def stamp(self, name: str) -> None:
        """Notes the time under a name."""
        if name == "step":
            self.count += 1
            name = step_name(self.count)
        elif name == "loop":
            self.count, name = 0, step_name(0)
        self._clock.stamp(name)

    def synchronize(self) -> None:
        """Waits until the device has done all its work."""
        self._clock.synchronize()

    def between(self, first: str, last: str) -> float:
        """Returns the difference of two stamps."""
        return self._clock.between(first, last)


def step_name(count: int) -> str:
    """Returns the name of the moment at which so many steps are done."""
    return f"step {count}"


def watched(subject: Subject, arguments: dict[str, Any], clock: Clock) -> Steps:
    """Runs a subject once and returns what its steps took by a clock.

    Arguments:
        subject: What is run.
        arguments: Its call arguments.
        clock: What measures.
    """
    subject.ready()
    steps = StepClock(clock)
    with watched_loop(subject.scheduler(), steps):
        steps.stamp("start")
        subject(**arguments)
        steps.stamp("end")
    steps.synchronize()
    each = tuple(steps.between(step_name(k), step_name(k + 1)) for k in range(steps.count))
    return Steps(steps.between("start", "end"), each)


def timed(subject: Subject, arguments: dict[str, Any], device: torch.device) -> Steps:
    """Runs a subject once and returns what its steps took, in ms."""
    return watched(subject, arguments, clock_of(device))


class OperationClock:
    """Counts floating-point operations instead of time.

    Arguments:
        count: Returns how many there were until now.
    """

    def __init__(self, count: Callable[[], int]) -> None:
        self._count = count
        self._stamps: dict[str, int] = {}

    def stamp(self, name: str) -> None:
        """Notes the count under a name."""
        self._stamps[name] = self._count()

    def synchronize(self) -> None:
        """Does nothing: operations are counted when they are asked for."""

    def between(self, first: str, last: str) -> float:
        """Returns the operations between two stamps."""
        return self._stamps[last] - self._stamps[first]


def operations(subject: Subject, arguments: dict[str, Any]) -> Steps:
    """Runs a subject once and returns the floating-point operations of its steps, by torch's own counter.

    A multiplication and the addition that follows are two operations. Matrix products, convolutions and attention count;
    what works on entries one by one does not.
    """
    from torch.utils.flop_counter import FlopCounterMode, sdpa_flop

    attention = partial(sdpa_flop)
    attention._get_raw = True  # type: ignore[attr-defined]  # it takes the shapes itself
    on_cpu = {torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: attention}  # which torch leaves out
    with FlopCounterMode(display=False, custom_mapping=on_cpu) as counter:
        return watched(subject, arguments, OperationClock(counter.get_total_flops))
