"""Denoising loops written by hand: they follow a policy from ``scheduler.set_timesteps`` to their last step."""

from collections.abc import Iterator
from contextlib import contextmanager

from frdiff_tune.errors import MismatchError
from frdiff_tune.runtime.run import Run


@contextmanager
def by_hand(run: Run, T: int | None) -> Iterator[None]:
    """Lets network calls outside of a pipeline's call belong to a run.

    Arguments:
        run: The state that they move.
        T: Steps that the loop walks; None: the policy's.

    Raises:
        MismatchError: If the policy is for another number, another run is under way, or the loop has walked fewer.
    """
    policy = run.policy
    if T not in (None, policy.T):
        raise MismatchError(
            f"`T` must be the policy's {policy.T} but the loop walks {T}. `policy.resample({T})` stretches it, "
            f"unmeasured; or tune one for that many steps."
        )
    if run.busy:
        raise MismatchError("`applied.run()` must not begin inside another run. Finish that one first.")
    run.forget_trace()
    run.by_hand = True
    try:
        yield
    finally:
        run.by_hand = False
        run.finish()
    walked = len(run.trace.steps)
    if walked != policy.T and not run.trace.plain:
        raise MismatchError(
            f"the loop in `applied.run()` must walk the policy's {policy.T} steps, from `scheduler.set_timesteps` to "
            f"the last `scheduler.step`, but it walked {walked}. What it drew follows the policy only so far."
        )
