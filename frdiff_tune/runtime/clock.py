"""The step clock: a run begins with ``scheduler.set_timesteps`` and advances when ``scheduler.step`` returns."""

import functools
import inspect
import warnings
from collections.abc import Callable
from typing import Any, Literal

from frdiff_tune.errors import MismatchError
from frdiff_tune.runtime.owner import calling_pipeline
from frdiff_tune.runtime.patch import Patch
from frdiff_tune.runtime.run import Run
from frdiff_tune.runtime.variable import noise_levels

OnMismatch = Literal["error", "plain"]


class Clock:
    """Ties a run to a scheduler until ``remove``.

    Arguments:
        run: The state that is moved.
        scheduler: The scheduler that the pipeline walks; only this instance is patched.
        serves: Whether a pipeline holds what the policy is on; others may walk the same scheduler.
        on_mismatch: Whether a call that the policy does not fit is refused, or goes on unaccelerated with one warning.
    """

    def __init__(
        self,
        run: Run,
        scheduler: Any,  # noqa: ANN401
        serves: Callable[[Any], bool],
        on_mismatch: OnMismatch = "error",
    ) -> None:
        self.run = run
        self._serves = serves
        self.scheduler = scheduler
        self.on_mismatch = on_mismatch
        self._patches = [
            Patch(scheduler, "set_timesteps", self._begin),
            Patch(scheduler, "step", self._tick),
        ]

    def remove(self) -> None:
        """Gives the scheduler its own methods back."""
        for patch in self._patches:
            patch.remove()

    def enter(self, timestep: Any, walked: int | None) -> None:  # noqa: ANN401
        """Finds, at a run's first network call, which of the scheduler's timesteps the call walks.

        Arguments:
            timestep: The scheduler's timestep of the call; None where the network is told another number.
            walked: How many timesteps the pipeline says that it walks; None where it does not say.

        Raises:
            MismatchError: If they are not as many as the policy's, as with another img2img strength.
        """
        times, T = [float(time) for time in self.scheduler.timesteps], self.run.policy.T
        begin = getattr(self.scheduler, "begin_index", None)
        if begin is None and timestep is not None:
            first = float(timestep if not hasattr(timestep, "flatten") else timestep.flatten()[0])
            begin = min(range(len(times)), key=lambda i: abs(times[i] - first))
        walked = len(times) - (begin or 0) if walked is None else walked
        if walked != T:
            steps = self.run.policy.sampling.num_inference_steps
            self._refuse(
                f"`T` must be the number of steps that the call walks: the policy has {T} but the call walks {walked}. "
                f"Call with the strength that it was made for; `policy.resample({steps}, {walked})` stretches it to this walk, "
                f"unmeasured; or tune one for it."
            )
            return
        start = len(times) - walked if begin is None else begin
        self.run.levels = noise_levels(self.scheduler, times)[start : start + T]

    def _begin(self, set_timesteps: Callable[..., Any]) -> Callable[..., Any]:
        signature = inspect.signature(set_timesteps)

        @functools.wraps(set_timesteps)
        def patched(*args: Any, **kwargs: Any) -> None:  # noqa: ANN401
            pipe = calling_pipeline()
            if pipe is not None and not self._serves(pipe):
                set_timesteps(*args, **kwargs)
                return
            self._check_owner()
            asked = signature.bind(*args, **kwargs).arguments
            timesteps, steps = self.run.policy.sampling.timesteps, self.run.policy.sampling.num_inference_steps
            wanted = _steps(asked)
            fits = wanted in (None, steps)
            if fits and timesteps is not None:
                kept = {key: value for key, value in asked.items() if key in ("device", "mu")}
                set_timesteps(timesteps=list(timesteps), **kept)
            elif fits or self.on_mismatch == "plain":
                set_timesteps(*args, **kwargs)
            if not fits:
                self._refuse_steps(wanted, steps)
            elif len(self.scheduler.timesteps) < self.run.policy.T:
                self._refuse_length(len(self.scheduler.timesteps))
            else:
                self.run.begin()

        return patched

    def _check_owner(self) -> None:
        """Refuses a pipeline call that begins while another one of the same scheduler is under way."""
        run = self.run
        if run.t is not None and run.owner is not None and run.owner.running and not run.owns():
            raise MismatchError(
                f"`pipe` must finish one call before the next begins while a policy is on, but another call is at step {run.t} "
                f"of {run.policy.T} on the same scheduler. Take turns (a lock around the call), or load a pipeline per thread."
            )

    def _refuse_steps(self, asked: int | None, steps: int) -> None:
        self._refuse(
            f"`num_inference_steps` must be the policy's {steps} but the call asks for {asked}. Call "
            f"`applied(...)`, which passes it, or pipe(..., num_inference_steps={steps}); `policy.resample({asked})` stretches "
            f"it to that count, unmeasured; or tune one for it. `.remove()` takes this one off."
        )

    def _refuse_length(self, length: int) -> None:
        self._refuse(
            f"`T` must be at most the scheduler's number of timesteps, {length}, but the policy has {self.run.policy.T}. "
            f"Build a policy for this scheduler and step count."
        )

    def _refuse(self, message: str) -> None:
        """Ends the run: with an error, or so that the call goes on unaccelerated.

        Raises:
            MismatchError: Unless a mismatch is to run plainly.
        """
        if self.on_mismatch == "error":
            self.run.reset()
            raise MismatchError(message)
        self.run.give_up(message)
        warnings.warn(f"This call runs unaccelerated: {message}", stacklevel=2)

    def _tick(self, step: Callable[..., Any]) -> Callable[..., Any]:
        signature = inspect.signature(step)

        @functools.wraps(step)
        def patched(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
            result = step(*args, **kwargs)
            if self.run.owns():
                self.run.tick(signature.bind(*args, **kwargs).arguments["sample"].shape[0])
            return result

        return patched


def _steps(asked: dict[str, Any]) -> int | None:
    """Returns how many steps a scheduler is asked for: a number, or the length of the list of timesteps or sigmas."""
    for name in ("num_inference_steps", "timesteps", "sigmas"):
        value = asked.get(name)
        if value is not None:
            return int(value) if name == "num_inference_steps" else len(value)
    return None
