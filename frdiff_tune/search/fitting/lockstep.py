"""Lockstep: several calls of a pipeline take every scheduler step together, so that one solve serves them all.

Each call is an ordinary call of the user's pipeline, whatever its family; it runs in a coroutine of its own until its
scheduler is about to take a step, and waits there for the others. Only one runs at a time, and nothing is decoded: a call
is broken off after its last step.
"""

from collections.abc import Callable, Generator, Sequence
from typing import TYPE_CHECKING, Any

from greenlet import GreenletExit, getcurrent, greenlet

from frdiff_tune.errors import MeasureError
from frdiff_tune.measure.bench import Bench
from frdiff_tune.measure.picture import quiet
from frdiff_tune.policy import Policy
from frdiff_tune.runtime import Applied
from frdiff_tune.runtime.patch import Patch

if TYPE_CHECKING:
    from torch import Tensor

Call = Callable[[Callable[..., Any]], Any]
"""Runs a pipeline, or an applied policy, once: its arguments are the call's own affair."""
Moment = tuple[int, "list[Tensor]", "list[Tensor]"]
"""A step: its index in the scheduler's list, the network's outputs and the states of all calls."""


def lockstep(bench: Bench, policy: Policy, calls: Sequence[Call], skipped: int = 0) -> "Generator[Moment, list[Tensor], None]":
    """Yields every step of calls that walk a policy's linear multistep scheduler together; takes their next states.

    Afterwards, also after an error or where the consumer stops early, no run is under way; the policy stays on the bench.

    Arguments:
        bench: Holds the pipeline.
        policy: Walks a ``LinearMultistepScheduler``.
        calls: At least one; all walk the same steps.
        skipped: First steps at which the network is not called: their outputs are zeros, and the consumer knows the states.

    Raises:
        MismatchError: If the policy does not fit the pipeline or a call.
        MeasureError: If a call ends before its last step.
    """
    import torch

    pipe = bench.pipe
    bench.use(policy)
    applied = bench.applied
    with torch.no_grad(), quiet(pipe):
        patch = Patch(pipe.scheduler, "advance", lambda advance: _exchange)
        workers = [_Worker(applied, call) for call in calls]
        try:
            applied.skip_network(skipped > 0)
            moments = [worker.resume(None) for worker in workers]
            for t in range(policy.T):
                applied.skip_network(t + 1 < skipped)
                i = moments[0][0]
                states = yield i, [output for _, output, _ in moments], [state for _, _, state in moments]
                if t + 1 < policy.T:
                    moments = [worker.resume(state) for worker, state in zip(workers, states, strict=True)]
        finally:
            for worker in workers:
                worker.break_off()
            applied.skip_network(False)
            patch.remove()
            if hasattr(pipe, "maybe_free_model_hooks"):
                pipe.maybe_free_model_hooks()  # an offloaded pipeline does so at the end of a call


def _exchange(i: int, model_output: "Tensor", sample: "Tensor") -> "Tensor":
    """Stands in for the scheduler's advance: waits for the next state."""
    state: Tensor = getcurrent().parent.switch((i, model_output, sample))
    return state


class _Worker:
    """One call, which runs until its next step."""

    def __init__(self, applied: Applied, call: Call) -> None:
        self._parking = applied.parking()
        self._coroutine = greenlet(lambda: call(applied))

    def resume(self, state: "Tensor | None") -> "tuple[int, Tensor, Tensor]":
        """Returns the next step's index, output and state; ``state`` is where the last step led, None at first."""
        self._parking.resume()
        try:
            moment = self._coroutine.switch() if state is None else self._coroutine.switch(state)
        finally:
            self._parking.park()
        if self._coroutine.dead:
            raise MeasureError(
                "`calls` must walk every step of the policy's scheduler but one ended before. Call the pipeline to its end, "
                "without a callback that interrupts it."
            )
        step: tuple[int, Tensor, Tensor] = moment
        return step

    def break_off(self) -> None:
        """Ends the call, wherever it is."""
        if self._coroutine and not self._coroutine.dead:
            self._parking.resume()
            self._coroutine.throw(GreenletExit)
            self._parking.park()
