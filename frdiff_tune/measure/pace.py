"""How long pictures will take, from four short runs of the bare pipeline: what an estimate is made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from frdiff_tune.measure.bench import Bench, Contender
from frdiff_tune.measure.case import Case, blocks, call_arguments
from frdiff_tune.measure.hardware import pipe_device
from frdiff_tune.measure.picture import checked_call
from frdiff_tune.measure.stopwatch import sample
from frdiff_tune.measure.walk import Walk

SHORT, LONG = 2, 6  # steps that the two runs walk, at least, which a line is laid through


@dataclass(frozen=True, slots=True)
class Pace:
    """A call's time as a line in its steps that call the network, in ms.

    Arguments:
        step_ms: Per step of a call of ``batch`` pictures.
        rest_ms: Of that call beside its steps: text encoder, decoder, pictures.
        batch: Pictures per call.
    """

    step_ms: float
    rest_ms: float
    batch: int

    def call_ms(self, nfe: int) -> float:
        """Returns the time of one call."""
        return self.rest_ms + nfe * self.step_ms

    def pictures_ms(self, count: int, nfe: int) -> float:
        """Returns the time of ``count`` pictures."""
        return -(-count // self.batch) * self.call_ms(nfe)


def measure_pace(pipe: Any, cases: Sequence[Case], call: Mapping[str, Any] | None = None, batch: int = 1) -> Pace:  # noqa: ANN401
    """Returns the pace of the bare pipeline; takes 10 steps after 2 of warming up.

    Arguments:
        pipe: A diffusers pipeline without a policy.
        cases: Cases to draw; the first ``batch`` of one kind are used, in turn if there are fewer.
        call: Arguments that are the same for all cases.
        batch: Pictures per call.
    """
    block, given = blocks(cases, batch)[0], checked_call(call or {})
    chosen = [block[j % len(block)] for j in range(batch)]
    device = pipe_device(pipe)
    walk, times = Walk(pipe, chosen, given), {}
    counts = [max(T, walk.steps(T)) for T in (SHORT, LONG)]
    with Bench(pipe) as bench:
        for steps in (counts[0], *counts):  # the first warms up
            run = Contender(bench, None, steps)
            times[walk.T(steps)] = sample(run, {**given, **call_arguments(chosen)}, device).total_ms
    (short, first), (long, last) = times.items()
    step_ms = max((last - first) / (long - short), 0.0)
    return Pace(step_ms, max(first - short * step_ms, 0.0), batch)
